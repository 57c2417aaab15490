use std::collections::HashMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::config::Page;
use crate::model::name::BuildName;
use crate::model::observed::Worker;
use crate::model::rules;
use crate::model::warmth::{self, Times};
use crate::model::words::count;
use crate::report::Done;
use crate::serve::crowd::Crowd;
use crate::serve::stats;
use crate::site::Site;
use crate::system::http::{Answer, Browser};

/// Which build, and how hard.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds warmup c -c 8")]
pub struct Arguments {
    /// A build's name, live or stage
    #[arg(default_value = "stage")]
    name: String,
    /// Requests at a time [default: warmup.concurrency of builds.toml]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: Option<u16>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let name = site.resolve(super::reference(&arguments.name)?)?;
    let warmth = warm(&site, name, arguments.concurrency.unwrap_or(site.config.warmup.concurrency))?;
    Ok(Done::changed(true, format!("build {name} is warm: {}", warmth.summary()))
        .with("build", name)
        .with("requests", warmth.requests())
        .with("workers", warmth.workers)
        .with("p50_ms", warmth.percentile(50))
        .with("p95_ms", warmth.p95.map(|p95| p95.as_millis()))
        .with("max_ms", warmth.percentile(100))
        .with("seconds", warmth.took.as_secs_f64()))
}

/// What a warm-up took.
#[derive(Default)]
pub struct Warmth {
    /// How long each answer took.
    times: Vec<Duration>,
    workers: usize,
    took: Duration,
    /// What 95 of 100 answers did not exceed once the build was warm, where that matters.
    p95: Option<Duration>,
}

impl Warmth {
    fn requests(&self) -> usize {
        self.times.len()
    }

    fn percentile(&self, percent: usize) -> u128 {
        warmth::percentile(self.times.clone(), percent).as_millis()
    }

    /// What it came to, in a line.
    pub fn summary(&self) -> String {
        let p95 =
            self.p95.map_or_else(String::new, |p95| format!("; then 95 of 100 took up to {} ms", p95.as_millis()));
        format!(
            "{} in {:.2} s, every one of {} answered, median {} ms, longest {} ms{p95}",
            count(self.requests(), "request"),
            self.took.as_secs_f64(),
            count(self.workers, "worker"),
            self.percentile(50),
            self.percentile(100),
        )
    }
}

/// Sends requests, `concurrency` at a time, until each page was asked for and every started worker has answered. Then, with
/// `warmup.max_p95_ms`, those by which it is timed.
///
/// # Errors
/// An answer is not as `[warmup]` wants it, none comes, a worker has not answered within `warmup.timeout`, or the build is
/// too slow.
pub fn warm(site: &Site, name: BuildName, concurrency: u16) -> Result<Warmth> {
    rules::running(name, site.observe(name)?.state())?;
    site.check_port(name)?;
    let (config, began) = (&site.config.warmup, Instant::now());
    let browser = Browser::new(site.port(name)?.number(), &site.config.site.host, config.timeout)
        .map_err(|problem| unhealthy(name, &problem, String::new()))?;
    let before = workers(site, name)?.into_iter().map(|worker| (worker.pid, worker.requests)).collect();
    let visit = Visit { site, name, browser, began, before };
    let mut warmth = Warmth::default();
    visit.warm(concurrency.into(), &mut warmth)?;
    if let Some(most) = config.max_p95_ms {
        visit.time(warmth.workers.min(concurrency.into()), Duration::from_millis(most.into()), &mut warmth)?;
    }
    warmth.took = began.elapsed();
    Ok(warmth)
}

/// A warm-up under way.
struct Visit<'a> {
    site: &'a Site,
    name: BuildName,
    browser: Browser,
    began: Instant,
    /// The requests that each worker process had answered.
    before: HashMap<i32, u64>,
}

impl Visit<'_> {
    /// Asks until every worker has answered.
    fn warm(&self, users: usize, warmth: &mut Warmth) -> Result<()> {
        let pages = &self.site.config.warmup.paths;
        let crowd = Crowd::send(&self.browser, pages.iter().map(|page| page.path.clone()).collect(), users, true);
        // Those that are still under way when every worker has answered are judged, too.
        while let Some((number, answer)) = self.hear(&crowd, || self.cold(warmth.requests()))? {
            self.check(&pages[number % pages.len()], &answer)?;
            warmth.times.push(answer.took);
            if warmth.requests() >= pages.len() && warmth.workers == 0 {
                let workers = self.answered()?;
                if !workers.is_empty() && workers.iter().all(|&(_, answered)| answered) {
                    warmth.workers = workers.len();
                    crowd.stop();
                }
            }
        }
        Ok(())
    }

    /// Times a warm build. No more requests are under way than there are workers, so that none waits for another.
    fn time(&self, users: usize, most: Duration, warmth: &mut Warmth) -> Result<()> {
        let pages = &self.site.config.warmup.paths;
        let (requests, uncounted) = warmth::timed(pages.len(), warmth.workers);
        let paths = requests.iter().map(|&page| pages[page].path.clone()).collect();
        let crowd = Crowd::send(&self.browser, paths, users, false);
        let (mut times, mut heard) = (Times::new(), 0);
        let late = |heard: usize| {
            let evidence = format!("{heard} of the {} requests that time a warm build were answered", requests.len());
            self.unhealthy(&format!("it took longer than {} s", self.site.config.warmup.timeout.as_secs()), evidence)
        };
        while let Some((number, answer)) = self.hear(&crowd, || late(heard))? {
            let page = &pages[requests[number]];
            self.check(page, &answer)?;
            heard += 1;
            warmth.times.push(answer.took);
            if number >= uncounted {
                times.entry(page.path.clone()).or_default().push(answer.took);
            }
        }
        let p95 = warmth::p95(&times);
        warmth.p95 = Some(p95);
        if p95 <= most {
            return Ok(());
        }
        let problem = format!("95 of 100 answers took up to {} ms, not {}", p95.as_millis(), most.as_millis());
        let evidence = format!("warmup.max_p95_ms is {}; page by page: {}", most.as_millis(), warmth::slowest(&times));
        Err(self.unhealthy(&problem, evidence))
    }

    /// The next answer; `None` when no more come, and `late` where they take too long.
    fn hear(&self, crowd: &Crowd, late: impl FnOnce() -> Error) -> Result<Option<(usize, Answer)>> {
        match crowd.next(self.site.config.warmup.timeout.saturating_sub(self.began.elapsed()))? {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(late()),
        }
    }

    /// Shows an answer, and refuses one that is not as it must be.
    fn check(&self, page: &Page, answer: &Answer) -> Result<()> {
        let path = &page.path;
        let status = match &answer.outcome {
            Ok(status) => *status,
            Err(reason) => return Err(self.unhealthy("no answer to a warm-up request", format!("{path}: {reason}"))),
        };
        warmth::check(page, &self.site.config.warmup.expect, status, &answer.body).map_err(|evidence| {
            // A site's first stumbling blocks, in Django's words.
            let hint = match status {
                400 => format!("; ALLOWED_HOSTS in its settings must contain {}", self.site.config.site.host),
                404 => "; warmup.paths in builds.toml names pages that the site has".into(),
                _ => String::new(),
            };
            self.unhealthy("wrong answer to a warm-up request", evidence + &hint)
        })?;
        tracing::info!("{status} {:>6} ms  {path}", answer.took.as_millis());
        Ok(())
    }

    /// Each started worker, and whether it has answered one more than before.
    fn answered(&self) -> Result<Vec<(i32, bool)>> {
        let more = |worker: &Worker| worker.requests > self.before.get(&worker.pid).copied().unwrap_or_default();
        Ok(workers(self.site, self.name)?.iter().map(|worker| (worker.pid, more(worker))).collect())
    }

    fn cold(&self, requests: usize) -> Error {
        let silent = self.answered().unwrap_or_default().into_iter().filter(|(_, answered)| !answered);
        let silent: Vec<String> = silent.map(|(pid, _)| pid.to_string()).collect();
        let seconds = self.site.config.warmup.timeout.as_secs();
        let evidence = format!("{requests} requests were answered, none by the workers {}", silent.join(", "));
        self.unhealthy(&format!("not every worker answered within {seconds} s"), evidence)
    }

    fn unhealthy(&self, problem: &str, evidence: String) -> Error {
        unhealthy(self.name, problem, evidence)
    }
}

fn workers(site: &Site, name: BuildName) -> Result<Vec<Worker>> {
    let mut workers = stats::workers(&site.layout.build(name).slot(site.slot(name)).stats())?;
    workers.retain(Worker::started);
    Ok(workers)
}

fn unhealthy(name: BuildName, problem: &str, evidence: String) -> Error {
    Error::Unhealthy {
        name,
        problem: problem.to_owned(),
        evidence,
        next: format!("builds run {name} -- CMD looks into it; the application's log is logs/{name}.error.log"),
    }
}
