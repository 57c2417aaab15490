//! What was seen of a build, and the state that this amounts to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::layout::Role;
use super::manifest::{Bad, Manifest, Progress};
use super::name::BuildName;

/// The two names and what they resolve to; both are `None` before the first `init`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The build that `_live` points to.
    pub live: Option<BuildName>,
    /// The build that `_stage` points to.
    pub stage: Option<BuildName>,
}

impl Names {
    /// The role of a build, if it has one.
    pub fn role(&self, name: BuildName) -> Option<Role> {
        if self.live == Some(name) {
            Some(Role::Live)
        } else if self.stage == Some(name) {
            Some(Role::Stage)
        } else {
            None
        }
    }

    /// The build in a role.
    pub fn holder(&self, role: Role) -> Option<BuildName> {
        match role {
            Role::Live => self.live,
            Role::Stage => self.stage,
        }
    }
}

/// One worker of a zerg, as uWSGI's stats tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// uWSGI's number of the worker, from 1.
    pub id: u32,
    /// Its process; 0 while there is none.
    pub pid: i32,
    /// `cheap`, `pause`, `busy`, `idle` or `sigN`.
    pub status: String,
    /// Whether it takes requests.
    pub accepting: bool,
    /// Whether the application has loaded in it.
    pub loaded: bool,
    /// How often uWSGI has started it, the first time included.
    pub spawns: u32,
    /// Requests that it has answered since it was spawned.
    pub requests: u64,
    /// Requests that ended in an exception.
    pub exceptions: u64,
    /// Requests that it can work on at a time.
    pub threads: usize,
    /// Requests that it works on now.
    pub in_request: u32,
}

impl Worker {
    /// Whether uWSGI has started it: a cheap worker is a place for one, not one.
    pub fn started(&self) -> bool {
        self.status != "cheap"
    }

    /// Whether it would answer a request.
    pub fn ready(&self) -> bool {
        self.pid > 0 && self.accepting && self.loaded && self.status != "pause"
    }

    /// Whether it has finished what it had and takes no more.
    pub fn paused(&self) -> bool {
        self.status == "pause" && self.in_request == 0
    }
}

/// What was seen of one build.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// Its name.
    pub name: BuildName,
    /// Its manifest; `None` where the directory has none that can be read.
    pub manifest: Option<Manifest>,
    /// Whether `vassal.ini` is there.
    pub vassal_link: bool,
    /// Whether the link is there that makes the emperor run its workers.
    pub zerg_link: bool,
    /// Whether the vassal answers.
    pub listening: bool,
    /// Whether the workers of that link are told to pause, or were by a command that was killed.
    pub draining: bool,
    /// The workers, where a zerg answers.
    pub workers: Option<Vec<Worker>>,
}

/// What a build can do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its create has not ended.
    Incomplete,
    /// Kept on disk only.
    Archived,
    /// Complete; no vassal.
    Stopped,
    /// Its links are there, and its vassal does not answer.
    Down,
    /// The vassal holds requests; no workers.
    Listening,
    /// Workers start, end, or are not all there.
    Active,
    /// Every started worker has loaded the application.
    Ready,
    /// Every started worker has answered a request.
    Warm,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Incomplete => "incomplete",
            Self::Archived => "archived",
            Self::Stopped => "stopped",
            Self::Down => "down",
            Self::Listening => "listening",
            Self::Active => "active",
            Self::Ready => "ready",
            Self::Warm => "warm",
        })
    }
}

impl Build {
    /// Why it must not get a name, if it must not.
    pub fn bad(&self) -> Option<&Bad> {
        self.manifest.as_ref()?.bad.as_ref()
    }

    /// The state that the facts amount to.
    pub fn state(&self) -> State {
        match self.manifest.as_ref().map(|manifest| manifest.state) {
            None | Some(Progress::Creating) => State::Incomplete,
            Some(Progress::Archived) => State::Archived,
            Some(Progress::Complete) if !self.vassal_link => State::Stopped,
            Some(Progress::Complete) if !self.listening => State::Down,
            Some(Progress::Complete) if !self.zerg_link => State::Listening,
            Some(Progress::Complete) if self.draining => State::Active,
            Some(Progress::Complete) => self.workers.as_deref().map_or(State::Active, state_of_workers),
        }
    }

    /// Whether its create was killed when all was done but to listen.
    pub fn lacks_listen(&self) -> bool {
        let recorded = self.manifest.as_ref().is_none_or(Manifest::has_listened);
        !recorded && [State::Stopped, State::Down, State::Listening].contains(&self.state())
    }
}

/// Whether every worker that uWSGI has started would answer, and there is one.
pub fn all_ready(workers: &[Worker]) -> bool {
    state_of_workers(workers) >= State::Ready
}

/// Active, ready or warm. A zerg without a started worker serves nobody, so it is not ready.
fn state_of_workers(workers: &[Worker]) -> State {
    let started = || workers.iter().filter(|worker| worker.started());
    if started().next().is_none() || !started().all(Worker::ready) {
        State::Active
    } else if started().all(|worker| worker.requests > 0) {
        State::Warm
    } else {
        State::Ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::Origin;

    fn build(progress: Progress, links: (bool, bool), listening: bool, workers: Option<Vec<Worker>>) -> Build {
        let name = BuildName::from_number(0);
        let manifest = Manifest { state: progress, ..Manifest::begin(name, 0, Origin::default()) };
        let (vassal_link, zerg_link) = links;
        Build { name, manifest: Some(manifest), vassal_link, zerg_link, listening, draining: false, workers }
    }

    fn worker(status: &str, loaded: bool, requests: u64) -> Worker {
        Worker { id: 1, pid: 7, status: status.into(), accepting: true, loaded, requests, ..Worker::default() }
    }

    #[test]
    fn every_state_follows_from_facts() {
        use Progress::{Archived, Complete, Creating};
        let zerg = |workers| build(Complete, (true, true), true, Some(workers));
        let cases = [
            (build(Creating, (false, false), false, None), State::Incomplete),
            (build(Archived, (false, false), false, None), State::Archived),
            (build(Complete, (false, false), false, None), State::Stopped),
            (build(Complete, (true, false), false, None), State::Down),
            (build(Complete, (true, true), false, None), State::Down),
            (build(Complete, (true, false), true, None), State::Listening),
            (build(Complete, (true, true), true, None), State::Active),
            (zerg(vec![]), State::Active),
            (zerg(vec![worker("cheap", false, 0)]), State::Active),
            (zerg(vec![worker("idle", false, 0)]), State::Active),
            (zerg(vec![worker("idle", true, 0), worker("idle", false, 0)]), State::Active),
            (zerg(vec![worker("idle", true, 0), worker("cheap", false, 0)]), State::Ready),
            (zerg(vec![worker("idle", true, 1), worker("busy", true, 0)]), State::Ready),
            (zerg(vec![worker("idle", true, 1), worker("busy", true, 3)]), State::Warm),
        ];
        for (build, state) in cases {
            assert_eq!(build.state(), state, "{build:?}");
        }
    }

    #[test]
    fn a_build_without_a_manifest_is_incomplete() {
        let nothing = Build { manifest: None, ..build(Progress::Complete, (true, true), true, None) };
        assert_eq!(nothing.state(), State::Incomplete);
    }

    #[test]
    fn a_build_that_drains_is_not_ready() {
        let warm = build(Progress::Complete, (true, true), true, Some(vec![worker("idle", true, 1)]));
        assert_eq!(Build { draining: true, ..warm }.state(), State::Active);
        let inactive = build(Progress::Complete, (true, false), true, None);
        assert_eq!(Build { draining: true, ..inactive }.state(), State::Listening);
    }

    #[test]
    fn a_paused_worker_has_no_request_left() {
        assert!(worker("pause", true, 1).paused());
        assert!(!Worker { in_request: 1, ..worker("pause", true, 1) }.paused());
        assert!(!worker("idle", true, 1).paused());
    }
}
