use clap::Args;

use super::{Cli, archive};
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::observed::{State, Worker};
use crate::model::rules;
use crate::model::words::count;
use crate::report::Done;
use crate::serve::{vassal, zerg};
use crate::site::Site;
use crate::steps;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds activate c")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let changed = activate(&site, name)?;
    let workers = site.observe(name)?.workers.unwrap_or_default();
    let started = count(zerg::started(&workers), "worker");
    let text = match changed {
        true => format!("build {name} is ready: {started}"),
        false => format!("build {name} was ready already: {started}"),
    };
    Ok(Done::changed(changed, text).with("build", name).with("workers", pids(&workers)))
}

/// The processes of those workers that uWSGI has started.
pub fn pids(workers: &[Worker]) -> Vec<i32> {
    workers.iter().filter(|worker| worker.started()).map(|worker| worker.pid).collect()
}

/// Starts a build's workers, unless they run; whether it had to. An archived build is brought back first. The caller holds
/// the build's lock.
pub fn activate(site: &Site, name: BuildName) -> Result<bool> {
    site.noting(Action::Activate, name, |deed| {
        let changed = start(site, name)?;
        deed.changed(changed);
        Ok(changed)
    })
}

fn start(site: &Site, name: BuildName) -> Result<bool> {
    let mut build = site.observe(name)?;
    rules::startable(name, build.state())?;
    if build.state() == State::Archived {
        archive::restore(site, build)?;
        build = site.observe(name)?;
    }
    if build.vassal_link {
        site.check_port(name)?;
    }
    if build.state() >= State::Ready {
        return Ok(zerg::end_replaced(site, name).unwrap_or_else(|error| {
            tracing::warn!("{}: {}; {}", error.what(), error.cause(), error.next());
            false
        }));
    }
    if let Some(manifest) = &build.manifest {
        steps::conf::write(site, manifest)?;
    }
    vassal::start(site, name)?;
    let workers = zerg::start(site, name)?;
    zerg::end_replaced(site, name)?;
    tracing::info!("activate {name} is ready: {}", count(zerg::started(&workers), "worker"));
    Ok(true)
}
