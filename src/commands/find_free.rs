use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::report::Done;

/// Takes nothing.
#[derive(Debug, Args)]
pub struct Arguments {}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let name = cli.site()?.find_free()?;
    Ok(Done::looked(name.to_string()).with("build", name))
}
