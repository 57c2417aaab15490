use std::time::Duration;

use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::report::Done;
use crate::serve::pause;

/// Which build, and for how long.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A build's name
    name: String,
    /// Seconds; 0: the pause is over
    seconds: u64,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    pause::keep(&site, super::name(&arguments.name)?, Duration::from_secs(arguments.seconds))?;
    Ok(Done::looked(String::new()))
}
