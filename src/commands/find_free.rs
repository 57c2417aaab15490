use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::report::Done;

/// Whether to keep the name.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds create \"$(builds find-free --reserve)\"")]
pub struct Arguments {
    /// Make the build's empty directory, so that nobody else gets the name: create fills it, rm gives it up
    #[arg(long)]
    reserve: bool,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    if arguments.reserve {
        let name = site.reserve()?;
        return Ok(Done::changed(true, name.to_string()).with("build", name));
    }
    let name = site.find_free()?;
    Ok(Done::looked(name.to_string()).with("build", name))
}
