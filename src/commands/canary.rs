use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::canary::{self as model, Canary};
use crate::model::change::Action;
use crate::model::name::BuildRef;
use crate::model::observed::State;
use crate::model::rules;
use crate::model::words::count;
use crate::report::Done;
use crate::serve::{canary, zerg};
use crate::site::Site;
use crate::steps;
use crate::system::signals;

/// Which build, and how many workers.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds canary c --workers 1")]
pub struct Arguments {
    /// A build's name, or stage; never the live one
    #[arg(required_unless_present = "off")]
    name: Option<String>,
    /// How many of its workers answer requests beside those of the live build
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: u16,
    /// Let them finish, and end them
    #[arg(long, conflicts_with_all = ["name", "workers"])]
    off: bool,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let Some(name) = arguments.name.as_deref() else {
        let ended = end(&site)?;
        let text = match ended {
            Some(Canary { name, .. }) => format!("build {name} is no canary any more"),
            None => "there is no canary".into(),
        };
        let (build, of) = (ended.map(|canary| canary.name), ended.map(|canary| canary.of));
        let done = Done::changed(ended.is_some(), text).with("build", build).with("of", of);
        return Ok(done.with("workers", 0).with("share", 0.0));
    };
    let Started { changed, canary, beside } = start(&site, super::reference(name)?, arguments.workers)?;
    let share = model::share(canary.workers.into(), beside);
    let Canary { name, of, workers, .. } = canary;
    let own = count(workers, "worker");
    let text = format!("{own} of build {name} beside {beside} of {of}: about {:.0} % of requests", share * 100.0);
    Ok(Done::changed(changed, text).with("build", name).with("of", of).with("workers", workers).with("share", share))
}

/// A canary that serves.
pub struct Started {
    /// Whether it did not before.
    pub changed: bool,
    /// The canary.
    pub canary: Canary,
    /// How many workers of the live build it stands beside.
    pub beside: usize,
}

/// Lets `workers` of a build answer requests beside those of the live build. The caller holds no lock.
///
/// # Errors
/// A rule forbids it, the application does not load, or another build has become live meanwhile. There is no canary then.
pub fn start(site: &Site, reference: BuildRef, workers: u16) -> Result<Started> {
    let (live, name, _locks) = loop {
        let (name, names) = (site.resolve(reference)?, site.names()?);
        let live = rules::canary(name, site.observe(name)?.state(), &names, site.canary()?.as_ref())?;
        // In the order of the names, as every command that takes two.
        let locks = (site.lock_build(name.min(live))?, site.lock_build(name.max(live))?);
        if site.resolve(reference)? == name && site.names()?.live == Some(live) {
            break (live, name, locks);
        }
    };
    let (build, present) = (site.observe(name)?, site.canary()?);
    rules::canary(name, build.state(), &site.names()?, present.as_ref())?;
    rules::good(name, build.bad())?;
    rules::running(live, site.observe(live)?.state())?;
    let wanted = Canary { name, of: live, slot: site.slot(live), workers };
    let serves = present == Some(wanted) && canary::serves(site, &wanted);
    if !serves {
        site.noting(Action::Canary, name, |_| {
            if let Some(present) = present {
                canary::stop(site, &present)?;
            }
            // Workers that run were started with settings that a worker which comes back must find again.
            if let Some(manifest) = build.manifest.as_ref().filter(|_| build.state() < State::Active) {
                steps::conf::write(site, manifest)?;
            }
            canary::start(site, &wanted)
        })?;
    }
    let stays = site.lock_names().and_then(|_names| Ok(site.names()?.live == Some(live)));
    if matches!(stays, Ok(false)) || stays.is_err() && !serves {
        signals::shielded(|| site.noting(Action::Canary, name, |_| canary::stop(site, &wanted)))?;
    }
    if !stays? {
        return Err(Error::Unmet {
            problem: format!("build {name} is no canary: another build went live meanwhile"),
            cause: format!("its workers stood beside those of {live}"),
            next: format!("builds canary {name} --workers {workers} again"),
        });
    }
    let beside = site.observe(live)?.workers.as_deref().map_or(0, zerg::started);
    Ok(Started { changed: !serves, canary: wanted, beside })
}

/// Ends the canary, if there is one, and returns it. No request is lost: its workers finish what they have, and those of
/// the live build take what comes. The caller holds no lock.
///
/// # Errors
/// Requests do not end in time; it then goes on.
pub fn end(site: &Site) -> Result<Option<Canary>> {
    end_if(site, |_| true)
}

/// Ends the canary of a build that is not live any more. The caller, who has moved the names, holds no lock.
pub fn end_stale(site: &Site) {
    let ended = site.names().and_then(|names| end_if(site, |canary| names.live != Some(canary.of)));
    match ended {
        Ok(Some(canary)) => tracing::info!("build {} is no canary any more", canary.name),
        Ok(None) => {}
        Err(error) => tracing::warn!("{}: {}; {}", error.what(), error.cause(), error.next()),
    }
}

fn end_if(site: &Site, wanted: impl Fn(&Canary) -> bool) -> Result<Option<Canary>> {
    let Some(Canary { name, .. }) = site.canary()?.filter(&wanted) else { return Ok(None) };
    let _lock = site.lock_build(name)?;
    let Some(canary) = site.canary()?.filter(|canary| canary.name == name && wanted(canary)) else { return Ok(None) };
    site.noting(Action::Canary, name, |_| canary::stop(site, &canary))?;
    Ok(Some(canary))
}
