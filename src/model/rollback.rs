//! Which build a rollback leads to: of those that were live, the latest that nobody has rolled away from.

use super::change::{Action, Change, Outcome};
use super::manifest::{Manifest, Progress};
use super::name::BuildName;

/// A time for which a build was live.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    name: BuildName,
    /// A time at which it was, in seconds since 1970.
    at: u64,
    /// Whether a rollback has ended it, or went back beyond it.
    left: bool,
    /// Whether the build was removed, or made anew, since.
    gone: bool,
}

/// All times for which builds were live, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives(Vec<Life>);

/// A build that a rollback passes over, and why.
pub type Skipped = (BuildName, String);

impl Lives {
    /// What the changes of a site tell, the oldest first.
    pub fn of(changes: impl Iterator<Item = Change>) -> Self {
        let mut lives = Self::default();
        for change in changes {
            if let (Action::Create | Action::Rm, Outcome::Done, Some(name)) =
                (change.action, change.result, change.build)
            {
                lives.0.iter_mut().filter(|life| life.name == name).for_each(|life| life.gone = true);
            }
            if change.from.live != change.to.live {
                lives.follow(&change);
            }
        }
        lives
    }

    fn follow(&mut self, change: &Change) {
        // What was live before anything was written down, or while nothing could be.
        if let Some(from) = change.from.live.filter(|&from| self.top() != Some(from)) {
            self.push(from, change.at);
        }
        let Some(to) = change.to.live else { return };
        let earlier = self.0.iter().rposition(|life| life.name == to && !life.left && !life.gone);
        match (change.action, earlier) {
            // Of what was found nobody knows how it came about: back is the way that leads to nothing new.
            (Action::Rollback | Action::Undo | Action::Found, Some(earlier)) => {
                self.0[earlier + 1..].iter_mut().for_each(|life| life.left = true);
            }
            (Action::Rollback, None) => {
                if let Some(top) = self.0.iter_mut().rfind(|life| !life.left) {
                    top.left = true;
                }
                self.push(to, change.at);
            }
            _ => self.push(to, change.at),
        }
    }

    fn push(&mut self, name: BuildName, at: u64) {
        self.0.push(Life { name, at, left: false, gone: false });
    }

    fn top(&self) -> Option<BuildName> {
        self.0.iter().rfind(|life| !life.left).map(|life| life.name)
    }

    /// Where a rollback leads from the build that is live, and what it passes over. `manifest` looks a build up.
    pub fn target(
        &self,
        live: Option<BuildName>,
        manifest: impl Fn(BuildName) -> Option<Manifest>,
    ) -> (Option<BuildName>, Vec<Skipped>) {
        let mut skipped: Vec<Skipped> = Vec::new();
        for life in self.0.iter().rev().filter(|life| !life.left && Some(life.name) != live) {
            match life.fault(manifest(life.name).as_ref()) {
                None => return (Some(life.name), skipped),
                Some(_) if skipped.iter().any(|(name, _)| *name == life.name) => {}
                Some(fault) => skipped.push((life.name, fault)),
            }
        }
        (None, skipped)
    }

    /// The builds that were live and are still there, without the one that is: the latest first, and behind them those that
    /// somebody has rolled away from.
    pub fn former(&self, live: Option<BuildName>) -> Vec<BuildName> {
        let mut former: Vec<&Life> = Vec::new();
        for life in self.0.iter().rev().filter(|life| !life.gone && Some(life.name) != live) {
            if former.iter().all(|later| later.name != life.name) {
                former.push(life);
            }
        }
        former.sort_by_key(|life| life.left);
        former.into_iter().map(|life| life.name).collect()
    }

    /// Whether the build that has this manifest was live at any time.
    pub fn knows(&self, manifest: &Manifest) -> bool {
        self.0.iter().any(|life| life.name == manifest.name && !life.gone && manifest.created <= life.at)
    }
}

impl Life {
    /// Why the build cannot be live again.
    fn fault(&self, manifest: Option<&Manifest>) -> Option<String> {
        let Some(manifest) = manifest else { return Some("it is not there any more".into()) };
        if let Some(bad) = &manifest.bad {
            return Some(format!("it is bad: {}", bad.reason));
        }
        match manifest.state {
            _ if self.gone || manifest.created > self.at => Some("it was made anew since".into()),
            Progress::Creating => Some("it is incomplete".into()),
            Progress::Archived => Some("it is archived".into()),
            Progress::Complete => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::By;
    use crate::model::manifest::{Bad, Origin};
    use crate::model::observed::Names;

    #[test]
    fn former_builds_are_those_that_were_live_and_are_there() {
        let (lives, live) = lives("a b c b f <b d -c e");
        let former: Vec<String> = lives.former(live).iter().map(BuildName::to_string).collect();
        assert_eq!(former, ["d", "b", "a", "f"]);
    }

    /// Changes as words: `c` went live, `<b` by a rollback, `?a` was found, `-c` was removed, `+c` created.
    fn lives(words: &str) -> (Lives, Option<BuildName>) {
        let mut live = None;
        let changes: Vec<Change> = (1..).zip(words.split(' ')).map(|(at, word)| change(at, word, &mut live)).collect();
        (Lives::of(changes.into_iter()), live)
    }

    fn change(at: u64, word: &str, live: &mut Option<BuildName>) -> Change {
        let name: BuildName = word.trim_start_matches(['<', '?', '-', '+']).parse().unwrap();
        let action = match word.as_bytes()[0] {
            b'<' => Action::Rollback,
            b'?' => Action::Found,
            b'-' => Action::Rm,
            b'+' => Action::Create,
            _ => Action::Swap,
        };
        let from = Names { live: *live, stage: None };
        if !matches!(action, Action::Rm | Action::Create) {
            *live = Some(name);
        }
        Change {
            at,
            action,
            command: String::new(),
            by: By { user: "ann".into(), sudo: None },
            build: Some(name),
            tag: None,
            commit: None,
            from,
            to: Names { live: *live, stage: None },
            seconds: 0.0,
            result: Outcome::Done,
            code: 0,
            reason: None,
        }
    }

    fn made(name: BuildName) -> Option<Manifest> {
        Some(Manifest { state: Progress::Complete, ..Manifest::begin(name, 0, Origin::default()) })
    }

    #[test]
    fn a_rollback_goes_back_and_never_to_where_one_came_from() {
        let cases = [
            ("a", None),
            ("a b", Some("a")),
            ("a b c", Some("b")),
            ("a b c <b", Some("a")),
            ("a b c <b <a", None),
            ("a b c <a", None),
            ("a b c <b d", Some("b")),
            ("a b c <b d <b", Some("a")),
            // Named, a build that was left is live like any other, and the one that it replaces is left.
            ("a b c <b <c", Some("a")),
            ("a b <c", Some("a")),
            // By swap-live there and back.
            ("a b a", Some("b")),
            ("a b a <b", Some("a")),
            // A rollback that was killed, and a swap that was.
            ("a b c ?b", Some("a")),
            ("a b ?c", Some("b")),
        ];
        for (words, expected) in cases {
            let (lives, live) = lives(words);
            let (target, skipped) = lives.target(live, made);
            assert_eq!((target, skipped), (expected.map(|name| name.parse().unwrap()), vec![]), "{words}");
        }
    }

    #[test]
    fn what_cannot_serve_is_passed_over_with_the_reason() {
        let (lives, live) = lives("a b c d e f -d b -c +c g");
        let look = |name: BuildName| {
            let manifest = made(name)?;
            match name.to_string().as_str() {
                "b" => Some(Manifest { bad: Some(Bad { at: 1, reason: "slow".into() }), ..manifest }),
                "d" => None,
                "e" => Some(Manifest { state: Progress::Archived, ..manifest }),
                "f" => Some(Manifest { created: 100, ..manifest }),
                _ => Some(manifest),
            }
        };
        let (target, skipped) = lives.target(live, look);
        let told: Vec<String> = skipped.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let expected = [
            "b: it is bad: slow",
            "f: it was made anew since",
            "e: it is archived",
            "d: it is not there any more",
            "c: it was made anew since",
        ];
        assert_eq!((target, told), (Some(BuildName::FIRST), expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn only_a_build_that_was_live_is_known() {
        let (lives, _) = lives("a b -b +b");
        let known = |name: &str| lives.knows(&made(name.parse().unwrap()).unwrap());
        assert_eq!(["a", "b", "c"].map(known), [true, false, false]);
        assert!(!lives.knows(&Manifest { created: 9, ..made(BuildName::FIRST).unwrap() }));
    }

    #[test]
    fn what_was_live_before_the_history_begins_is_a_target() {
        let mut live = Some(BuildName::FIRST);
        let (swap, b) = (change(5, "b", &mut live), BuildName::from_number(1));
        assert_eq!(Lives::of([swap].into_iter()).target(Some(b), made).0, Some(BuildName::FIRST));
    }
}
