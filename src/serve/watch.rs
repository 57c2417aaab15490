//! Watching a build that went live: the site's log of requests, its workers, and requests of our own where nobody asks.

use std::collections::HashMap;
use std::path::Path;
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
use crate::system::{follow, wait};

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
    /// Whether another build has become live meanwhile, which ends the watch.
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
pub fn run(
    site: &Site,
    new: BuildName,
    old: Option<BuildName>,
    (since, canary): (u64, Option<&Canary>),
    patience: Duration,
) -> Result<Watched> {
    let live = canary.map_or(new, |canary| canary.of);
    let stats = match canary {
        Some(canary) => site.canary_paths(canary).stats(),
        None => site.layout.build(new).slot(site.slot(new)).stats(),
    };
    let config = &site.config.watch;
    let limits = Limits { error_rate: config.max_error_rate.value(), p95_ratio: config.max_p95_ratio.value() };
    let mut watch = Watch::new(new, old, since as f64, limits);
    let mut left = MOST;
    let mut follower = follow::backwards(&site.layout.requests_log(), |line| {
        left -= 1;
        left > 0 && parse(line).is_none_or(|request| watch.add(&request))
    })?;
    watch.settle();
    let (mut census, mut probes) = (Census::default(), Probes::new(site, new)?);
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
            census.look(site, &stats);
            moved = site.links().live != Some(live);
            if heard.elapsed() >= SILENCE {
                probes.send();
            }
        }
        probes.hear(&mut watch)?;
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
    fn look(&mut self, site: &Site, stats: &Path) {
        // With `cheaper`, uWSGI ends workers and starts them again as it needs them.
        if site.config.uwsgi.cheaper > 0 {
            return;
        }
        let workers = stats::workers(stats).unwrap_or_default();
        for Worker { id, pid, spawns, .. } in workers.into_iter().filter(|worker| worker.pid > 0) {
            if let Some((old, before)) = self.workers.insert(id, (pid, spawns)) {
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
