use clap::Args;

use super::{Cli, activate};
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::observed::Worker;
use crate::model::rules;
use crate::report::Done;
use crate::serve::{vassal, zerg};
use crate::site::Site;
use crate::steps;
use crate::steps::conf::Settings;
use crate::system::signals;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds restart live")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let workers = site.noting(Action::Restart, name, |_| replace(&site, name))?;
    let text = format!("build {name} has new workers: {}", zerg::started(&workers));
    Ok(Done::changed(true, text).with("build", name).with("workers", activate::pids(&workers)))
}

/// No request waits for new workers: they load beside the old ones, and requests follow when they are ready. Holding the
/// requests meanwhile would be simpler, and would make users wait for as long as the application loads.
fn replace(site: &Site, name: BuildName) -> Result<Vec<Worker>> {
    let build = site.observe(name)?;
    rules::running(name, build.state())?;
    site.check_no_canary("restart", name)?;
    site.check_port(name)?;
    let (settings, slot) = (Settings::read(site, name)?, site.slot(name));
    if let Some(manifest) = &build.manifest {
        steps::conf::write(site, manifest)?;
    }
    let replaced = vassal::start(site, name).and_then(|_| zerg::replace(site, name));
    if replaced.is_err() && site.slot(name) == slot {
        // Otherwise the next worker of the old ones that dies would come back with what has just failed.
        signals::shielded(|| settings.restore())?;
    }
    replaced
}
