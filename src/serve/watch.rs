//! Watching a build that went live: the site's log of requests, its workers, and requests of our own where nobody asks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::stats;
use crate::error::{Error, Result};
use crate::model::canary::Canary;
use crate::model::name::BuildName;
use crate::model::observed::Worker;
use crate::model::requests::{Sum, parse};
use crate::model::warmth;
use crate::model::watch::{Fault, Limits, Watch};
use crate::site::Site;
use crate::system::http::Browser;
use crate::system::{files, follow, wait};

/// How often the workers are looked at, and a probe is sent where nobody asks.
const LOOK: Duration = Duration::from_millis(200);

/// So long after the last request nobody asks.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a probe waits for its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How many probes are under way at a time.
const PROBES: usize = 5;

/// The most requests from before the swap that are looked at.
const MOST: usize = 20_000;

/// What a watch saw.
#[derive(Debug)]
pub struct Watched {
    /// What was wrong; `None` where nothing was until the end.
    pub fault: Option<Fault>,
    /// Whether another build has become live meanwhile, or the canary is gone, which ends the watch.
    pub moved: bool,
    /// The requests before the swap.
    pub before: Sum,
    /// Those since.
    pub after: Sum,
}

/// Looks at a build that is live since `since`, in seconds since 1970, when it took the place of `old`, or at a
/// canary that answers since then beside it; for so long, or until it is clear that something is wrong.
///
/// # Errors
/// The log cannot be read; or a signal has come that asks this process to end.
pub fn live(site: &Site, new: BuildName, old: Option<BuildName>, since: u64, patience: Duration) -> Result<Watched> {
    run(site, &Subject::Live(new), Watch::new(new, old, since as f64, limits(site)), patience)
}

/// Looks at a canary that came at `since`, in seconds since 1970, beside what the build at whose side it stands did before;
/// for so long, or until it is clear that something is wrong, or until it is gone.
///
/// # Errors
/// As [`live`].
pub fn canary(site: &Site, canary: Canary, since: u64, patience: Duration) -> Result<Watched> {
    let watch = Watch::new(canary.name, Some(canary.of), since as f64, limits(site));
    run(site, &Subject::Canary(canary), watch, patience)
}

fn limits(site: &Site) -> Limits {
    let config = &site.config.watch;
    Limits { error_rate: config.max_error_rate.value(), p95_ratio: config.max_p95_ratio.value() }
}

/// What is watched.
enum Subject {
    Live(BuildName),
    Canary(Canary),
}

impl Subject {
    /// Where its workers tell how they are.
    fn stats(&self, site: &Site) -> PathBuf {
        match self {
            Self::Live(name) => site.layout.build(*name).slot(site.slot(*name)).stats(),
            Self::Canary(canary) => site.canary_paths(canary).stats(),
        }
    }

    /// Whether it is not any more what it was.
    fn moved(&self, site: &Site) -> bool {
        let live = site.links().live;
        match self {
            Self::Live(name) => live != Some(*name),
            Self::Canary(canary) => live != Some(canary.of) || !files::exists(&site.canary_paths(canary).ini()),
        }
    }

    /// Requests of our own: straight at a live build. Nothing else leads to the workers of a canary than what leads to live.
    fn probes<'a>(&self, site: &'a Site) -> Result<Option<Probes<'a>>> {
        match self {
            Self::Live(name) => Probes::new(site, *name).map(Some),
            Self::Canary(_) => Ok(None),
        }
    }
}

fn run(site: &Site, subject: &Subject, mut watch: Watch, patience: Duration) -> Result<Watched> {
    let mut left = MOST;
    let mut follower = follow::backwards(&site.layout.requests_log(), |line| {
        left -= 1;
        left > 0 && parse(line).is_none_or(|request| watch.add(&request))
    })?;
    watch.settle();
    let (mut census, mut probes) = (Census::default(), subject.probes(site)?);
    let (mut fault, mut moved) = (None, false);
    let (mut heard, mut looked) = (Instant::now(), None::<Instant>);
    wait::until(&[&site.layout.logs()], patience, || {
        let known = watch.requests();
        follower.lines(|line| _ = parse(line).map(|request| watch.add(&request)))?;
        if watch.requests() > known {
            heard = Instant::now();
        }
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            looked = Some(Instant::now());
            census.see(stats::workers(&subject.stats(site)).unwrap_or_default());
            moved = subject.moved(site);
            if heard.elapsed() >= SILENCE {
                probes.iter_mut().for_each(Probes::send);
            }
        }
        probes.iter_mut().try_for_each(|probes| probes.hear(&mut watch))?;
        fault = watch.fault(census.deaths, census.workers.len());
        Ok::<_, Error>((moved || fault.is_some()).then_some(()))
    })?;
    let (before, after) = watch.sums();
    Ok(Watched { fault: fault.filter(|_| !moved), moved, before, after })
}

/// The workers as they were seen last, and how often one has ended.
#[derive(Default)]
struct Census {
    /// The process of each, and which of its place it is.
    workers: HashMap<u32, (i32, u32)>,
    deaths: usize,
}

impl Census {
    fn see(&mut self, workers: Vec<Worker>) {
        for worker in workers {
            let Worker { id, pid, spawns, .. } = worker;
            if !worker.started() {
                // With `cheaper`, uWSGI has ended it itself, and the next one in its place is not there for a dead one.
                self.workers.remove(&id);
            } else if pid > 0
                && let Some((old, before)) = self.workers.insert(id, (pid, spawns))
            {
                // A new master counts from one again.
                self.deaths += if pid == old { 0 } else { spawns.saturating_sub(before).max(1) as usize };
            }
        }
    }
}

/// Requests of our own: those of the warm-up, one after the other.
struct Probes<'a> {
    site: &'a Site,
    browser: Browser,
    sent: usize,
    /// Those under way, with the page that each asks for.
    under_way: Vec<(usize, Crowd)>,
}

impl<'a> Probes<'a> {
    fn new(site: &'a Site, name: BuildName) -> Result<Self> {
        let patience = site.config.warmup.timeout.min(ANSWER);
        let browser = Browser::new(site.own_port(name)?, &site.config.site.host, patience);
        let browser = browser.map_err(|cause| Error::Unmet {
            problem: format!("build {name} cannot be asked"),
            cause,
            next: "builds doctor".into(),
        })?;
        Ok(Self { site, browser, sent: 0, under_way: Vec::new() })
    }

    fn send(&mut self) {
        let pages = &self.site.config.warmup.paths;
        if self.under_way.len() < PROBES {
            let page = self.sent % pages.len();
            self.under_way.push((page, Crowd::send(&self.browser, vec![pages[page].path.clone()], 1, false)));
            self.sent += 1;
        }
    }

    fn hear(&mut self, watch: &mut Watch) -> Result<()> {
        let config = &self.site.config.warmup;
        let mut still = Vec::new();
        for (number, crowd) in self.under_way.drain(..) {
            let page = &config.paths[number];
            match crowd.next(Duration::ZERO)? {
                Ok((_, answer)) => watch.probe(match &answer.outcome {
                    Ok(status) => warmth::check(page, &config.expect, *status, &answer.body).err(),
                    Err(reason) => Some(format!("{}: {reason}", page.path)),
                }),
                Err(_) => still.push((number, crowd)),
            }
        }
        self.under_way = still;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_dies_counts_and_one_that_is_not_needed_does_not() {
        let worker =
            |pid, spawns, status: &str| Worker { id: 1, pid, spawns, status: status.into(), ..Worker::default() };
        let [first, second] = [worker(7, 1, "idle"), worker(8, 2, "busy")];
        let (spent, fifth) = (worker(0, 1, "cheap"), worker(11, 5, "idle"));
        let (going, starting) = (worker(7, 1, "cheap"), worker(0, 2, "idle"));
        let anew = worker(20, 1, "idle");
        for (looks, deaths) in [
            (vec![&first, &first], 0),
            (vec![&first, &second], 1),
            (vec![&first, &starting, &second], 1),
            (vec![&first, &fifth], 4),
            (vec![&fifth, &anew], 1),
            (vec![&spent, &second], 0),
            (vec![&first, &going, &spent, &second], 0),
            (vec![&first, &spent, &second, &fifth], 3),
        ] {
            let mut census = Census::default();
            looks.iter().for_each(|&worker| census.see(vec![worker.clone()]));
            assert_eq!(census.deaths, deaths, "{looks:?}");
        }
    }
}
