use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::rules;
use crate::report::Done;
use crate::serve::{nginx, zerg};
use crate::site::Site;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds deactivate b")]
pub struct Arguments {
    /// A build's name; never the live or the staged one
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let changed = deactivate(&site, name)?;
    let text = match changed {
        true => format!("build {name} is inactive; it holds requests until it is activated or stopped"),
        false => format!("build {name} was inactive already"),
    };
    Ok(Done::changed(changed, text).with("build", name))
}

/// Drains a build and ends its workers; whether it had any. The caller holds the build's lock.
pub fn deactivate(site: &Site, name: BuildName) -> Result<bool> {
    site.noting(Action::Deactivate, name, |deed| {
        rules::spare("deactivate", name, &site.names()?)?;
        site.check_no_canary("deactivate", name)?;
        nginx::await_old_workers(site, name)?;
        let changed = zerg::stop(site, name)?;
        deed.changed(changed);
        Ok(changed)
    })
}
