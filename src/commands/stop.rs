use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::rules;
use crate::report::Done;
use crate::serve::{nginx, vassal, zerg};
use crate::site::Site;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds stop b")]
pub struct Arguments {
    /// A build's name; never the live or the staged one
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let changed = stop(&site, name)?;
    let text = if changed { "is stopped" } else { "was stopped already" };
    Ok(Done::changed(changed, format!("build {name} {text}")).with("build", name))
}

/// Drains a build and stops all of it; whether anything ran. The caller holds the build's lock.
pub fn stop(site: &Site, name: BuildName) -> Result<bool> {
    site.noting(Action::Stop, name, |deed| {
        rules::spare("stop", name, &site.names()?)?;
        site.check_no_canary("stop", name)?;
        nginx::await_old_workers(site, name)?;
        let workers = zerg::stop(site, name)?;
        let listened = vassal::stop(site, name)?;
        deed.changed(workers || listened);
        Ok(workers || listened)
    })
}
