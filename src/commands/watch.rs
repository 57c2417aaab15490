use std::time::Duration;

use clap::Args;

use super::{Cli, canary, mark, rollback};
use crate::error::{Error, Result};
use crate::model::canary::Canary;
use crate::model::layout::Role;
use crate::model::name::{BuildName, BuildRef};
use crate::model::requests::Sum;
use crate::model::rules::Refusal;
use crate::model::watch::Fault;
use crate::model::words::count;
use crate::report::Done;
use crate::serve::watch::{self, Watched};
use crate::site::Site;
use crate::system::{files, signals};

/// How long the live build is watched where nothing else says so.
const SECONDS: u64 = 60;

/// How long.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds swap-live && builds watch --seconds 120")]
pub struct Arguments {
    /// How long to watch [default: watch.seconds of builds.toml, or 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let own = Some(site.config.watch.seconds).filter(|seconds| !seconds.is_zero());
    let seconds = arguments.seconds.map(Duration::from_secs).or(own).unwrap_or(Duration::from_secs(SECONDS));
    let (name, role, watched) = match site.canary()? {
        Some(canary) => {
            tracing::info!("watch    canary {}, for {} s", canary.name, seconds.as_secs());
            (canary.name, "the canary", keep_or_end(&site, canary, seconds)?)
        }
        None => {
            let names = site.names()?;
            let live = names.live.ok_or(Refusal::NoHolder(Role::Live))?;
            let (since, old) = went_live(&site, live)?.unwrap_or_else(|| (files::now(), names.stage));
            tracing::info!("watch    {live}, for {} s", seconds.as_secs());
            (live, "live", keep_or_take_back(&site, live, old, since, seconds)?)
        }
    };
    let Watched { moved, before, after, .. } = watched;
    let text = match moved {
        true => format!("build {name} is not {role} any more: {}", told(after)),
        false => format!("build {name} does well: {}; before it {}", told(after), told(before)),
    };
    Ok(Done::changed(false, text).with("build", name).with("moved", moved).with("before", before).with("after", after))
}

/// When a build went live, in seconds since 1970, and what was live before it, as the history tells.
pub fn went_live(site: &Site, live: BuildName) -> Result<Option<(u64, Option<BuildName>)>> {
    let history = site.history()?;
    let mut moves = history.changes().rev().filter_map(Result::ok).filter(|change| change.from.live != change.to.live);
    Ok(moves.next().filter(|change| change.to.live == Some(live)).map(|change| (change.at, change.from.live)))
}

/// What requests came to, for people.
pub fn told(sum: Sum) -> String {
    match sum.requests {
        0 => "no requests".into(),
        some => {
            let requests = count(some, "request");
            format!("{requests}, {} failed, 95 of 100 took up to {} ms", sum.errors, sum.p95_ms)
        }
    }
}

/// Watches a build that is live since `since`, in seconds since 1970. If it does worse than `old` did, which was live before,
/// that one is live again, and the new one is marked bad. The caller holds no lock.
///
/// # Errors
/// It did worse, and was taken back; or could not be.
pub fn keep_or_take_back(
    site: &Site,
    new: BuildName,
    old: Option<BuildName>,
    since: u64,
    seconds: Duration,
) -> Result<Watched> {
    let watched = watch::live(site, new, old, since, seconds)?;
    let Some(fault) = &watched.fault else { return Ok(watched) };
    let worse = |problem, evidence, next| Error::Unhealthy { name: new, problem, evidence, next };
    let Some(old) = old else {
        return Err(worse("it does badly, and no build was live before it".into(), fault.to_string(), mend(new)));
    };
    match signals::shielded(|| take_back(site, new, old, fault)) {
        // Who moved the names meanwhile has decided.
        Ok(false) => Ok(Watched { fault: None, moved: true, ..watched }),
        Ok(true) => {
            let taken_back = worse(format!("it did badly, and {old} is live again"), fault.to_string(), mend(new));
            Err(Error::RolledBack(Box::new(taken_back)))
        }
        Err(error) => Err(worse(
            format!("it does badly, and {old} cannot take its place again"),
            format!("{fault}\n{}: {}", error.what(), error.cause()),
            format!("{}; builds status shows the builds to go to", error.next()),
        )),
    }
}

/// Watches a canary. If it does worse than the live build did before it came, it is ended, and marked bad. The caller holds
/// no lock.
///
/// # Errors
/// It did worse, and was ended; or could not be.
pub fn keep_or_end(site: &Site, canary: Canary, seconds: Duration) -> Result<Watched> {
    let Canary { name, of, .. } = canary;
    let watched = watch::canary(site, canary, files::since(&site.layout.build(name).canary_ini()), seconds)?;
    let Some(fault) = &watched.fault else { return Ok(watched) };
    signals::shielded(|| {
        canary::end(site)?;
        let _lock = site.claim(BuildRef::Name(name))?;
        mark::mark(site, name, Some(&fault.to_string()))
    })?;
    Err(Error::RolledBack(Box::new(Error::Unhealthy {
        name,
        problem: format!("as a canary it did badly, and {of} answers alone again"),
        evidence: fault.to_string(),
        next: mend(name),
    })))
}

fn mend(name: BuildName) -> String {
    format!("mend it in the source and create a new build; its log is logs/{name}.error.log")
}

/// Makes the old build live again, unless the new one is not live any more; whether it is. And marks the new one, if that can
/// be done: what users meet is mended by then.
fn take_back(site: &Site, new: BuildName, old: BuildName, fault: &Fault) -> Result<bool> {
    if rollback::leave(site, Some(new), Some(old), false)?.is_none() {
        return Ok(false);
    }
    let marked = site.claim(BuildRef::Name(new)).and_then(|_claim| mark::mark(site, new, Some(&fault.to_string())));
    if let Err(error) = marked {
        tracing::warn!("build {new} is not marked bad: {}: {}; {}", error.what(), error.cause(), error.next());
    }
    Ok(true)
}
