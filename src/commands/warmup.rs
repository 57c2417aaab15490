use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::Worker;
use crate::model::rules;
use crate::report::Done;
use crate::serve::stats;
use crate::site::Site;
use crate::system::http::{Answer, Browser};
use crate::system::wait;

/// Which build, and how hard.
#[derive(Debug, Args)]
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
    let name = match super::reference(&arguments.name)? {
        BuildRef::Name(name) => site.resolve(BuildRef::Name(name))?,
        role => site.resolve(role)?,
    };
    let warmth = warm(&site, name, arguments.concurrency.unwrap_or(site.config.warmup.concurrency))?;
    Ok(Done::changed(true, format!("build {name} is warm: {}", warmth.summary()))
        .with("build", name)
        .with("requests", warmth.requests())
        .with("workers", warmth.workers)
        .with("p50_ms", warmth.percentile(50))
        .with("max_ms", warmth.percentile(100))
        .with("seconds", warmth.took.as_secs_f64()))
}

/// What a warm-up took.
pub struct Warmth {
    /// Milliseconds of each request, sorted.
    milliseconds: Vec<u128>,
    workers: usize,
    took: Duration,
}

impl Warmth {
    fn requests(&self) -> usize {
        self.milliseconds.len()
    }

    fn percentile(&self, percent: usize) -> u128 {
        let last = self.milliseconds.len().saturating_sub(1);
        self.milliseconds.get(last * percent / 100).copied().unwrap_or_default()
    }

    /// What it came to, in a line.
    pub fn summary(&self) -> String {
        format!(
            "{} requests in {:.2} s, every one of {} workers answered, median {} ms, longest {} ms",
            self.requests(),
            self.took.as_secs_f64(),
            self.workers,
            self.percentile(50),
            self.percentile(100),
        )
    }
}

/// Sends requests, `concurrency` at a time, until each path was asked for and every started worker has answered.
///
/// # Errors
/// An answer is not as `warmup.expect` wants it, none comes, or a worker has not answered within `warmup.timeout`.
pub fn warm(site: &Site, name: BuildName, concurrency: u16) -> Result<Warmth> {
    rules::running(name, site.observe(name)?.state())?;
    site.check_port(name)?;
    let config = &site.config.warmup;
    let began = Instant::now();
    let browser = Browser::new(site.port(name)?.number(), &site.config.site.host, config.timeout)
        .map_err(|problem| unhealthy(name, &problem, String::new()))?;
    let before = requests(site, name)?;

    let (next, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (sender, answers) = channel();
    for _ in 0..concurrency {
        let (sender, browser, paths) = (sender.clone(), browser.clone(), config.paths.clone());
        let (next, enough) = (next.clone(), enough.clone());
        // Nobody waits for its end: a failure or a signal must not have to wait for an answer.
        std::thread::spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                let path = &paths[next.fetch_add(1, Ordering::Relaxed) % paths.len()];
                if sender.send((path.clone(), browser.get(path))).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let judged = judge(site, name, &answers, &before, began, &enough);
    // After a failure, too, nobody sends another request.
    enough.store(true, Ordering::Relaxed);
    judged
}

/// Judges each answer as it comes, also those that are still under way when every worker has answered.
fn judge(
    site: &Site,
    name: BuildName,
    answers: &Receiver<(String, Answer)>,
    before: &HashMap<i32, u64>,
    began: Instant,
    enough: &AtomicBool,
) -> Result<Warmth> {
    let config = &site.config.warmup;
    let mut warmth = Warmth { milliseconds: Vec::new(), workers: 0, took: Duration::ZERO };
    loop {
        let (path, answer) = match wait::message(answers, config.timeout.saturating_sub(began.elapsed()))? {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(cold(site, name, before, warmth.requests())),
        };
        check(site, name, &path, &answer)?;
        warmth.milliseconds.push(answer.took.as_millis());
        if warmth.requests() >= config.paths.len() && !enough.load(Ordering::Relaxed) {
            let workers = answered(site, name, before)?;
            if !workers.is_empty() && workers.iter().all(|&(_, answered)| answered) {
                warmth.workers = workers.len();
                enough.store(true, Ordering::Relaxed);
            }
        }
    }
    warmth.milliseconds.sort_unstable();
    warmth.took = began.elapsed();
    Ok(warmth)
}

/// Shows an answer, and refuses one that is not as it must be.
fn check(site: &Site, name: BuildName, path: &str, answer: &Answer) -> Result<()> {
    let expect = &site.config.warmup.expect;
    match &answer.outcome {
        Ok(status) if expect.contains(status) => {
            tracing::info!("{status} {:>6} ms  {path}", answer.took.as_millis());
            Ok(())
        }
        Ok(status) => {
            let evidence = format!("{path} answered {status}, expected {}", list(expect));
            // A site's first stumbling blocks, in Django's words.
            let hint = match status {
                400 => format!("; ALLOWED_HOSTS in its settings must contain {}", site.config.site.host),
                404 => "; warmup.paths in builds.toml names pages that the site has".into(),
                _ => String::new(),
            };
            Err(unhealthy(name, "wrong answer to a warm-up request", evidence + &hint))
        }
        Err(reason) => Err(unhealthy(name, "no answer to a warm-up request", format!("{path}: {reason}"))),
    }
}

/// The requests that each worker process has answered.
fn requests(site: &Site, name: BuildName) -> Result<HashMap<i32, u64>> {
    Ok(workers(site, name)?.into_iter().map(|worker| (worker.pid, worker.requests)).collect())
}

/// Each started worker, and whether it has answered one more than before.
fn answered(site: &Site, name: BuildName, before: &HashMap<i32, u64>) -> Result<Vec<(i32, bool)>> {
    let more = |worker: &Worker| worker.requests > before.get(&worker.pid).copied().unwrap_or_default();
    Ok(workers(site, name)?.iter().map(|worker| (worker.pid, more(worker))).collect())
}

fn workers(site: &Site, name: BuildName) -> Result<Vec<Worker>> {
    let mut workers = stats::workers(&site.layout.build(name).slot(site.slot(name)).stats())?;
    workers.retain(Worker::started);
    Ok(workers)
}

fn cold(site: &Site, name: BuildName, before: &HashMap<i32, u64>, requests: usize) -> Error {
    let silent = answered(site, name, before).unwrap_or_default();
    let silent: Vec<i32> = silent.into_iter().filter(|(_, answered)| !answered).map(|(pid, _)| pid).collect();
    let seconds = site.config.warmup.timeout.as_secs();
    let evidence = format!("{requests} requests were answered, none by the workers {}", list(&silent));
    unhealthy(name, &format!("not every worker answered within {seconds} s"), evidence)
}

fn unhealthy(name: BuildName, problem: &str, evidence: String) -> Error {
    Error::Unhealthy {
        name,
        problem: problem.to_owned(),
        evidence,
        next: format!("builds run {name} -- CMD looks into it; the application's log is logs/{name}.error.log"),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
