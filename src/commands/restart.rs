use clap::Args;

use super::{Cli, activate};
use crate::error::Result;
use crate::model::rules;
use crate::report::Done;
use crate::serve::{vassal, zerg};
use crate::steps;

/// Which build.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
}

/// No request waits for new workers: they load beside the old ones, and requests follow when they are ready. Holding the
/// requests meanwhile would be simpler, and would make users wait for as long as the application loads.
pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let build = site.observe(name)?;
    rules::running(name, build.state())?;
    site.check_port(name)?;
    if let Some(manifest) = &build.manifest {
        steps::conf::write(&site, manifest)?;
    }
    vassal::start(&site, name)?;
    let workers = zerg::replace(&site, name)?;
    let text = format!("build {name} has new workers: {}", zerg::started(&workers));
    Ok(Done::changed(true, text).with("build", name).with("workers", activate::pids(&workers)))
}
