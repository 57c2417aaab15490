use clap::Args;

use super::Cli;
use super::migrate::{check, counted};
use crate::error::Result;
use crate::model::migrations::table;
use crate::report::Done;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds migrations stage --json")]
pub struct Arguments {
    /// A build's name, live or stage
    #[arg(default_value = "stage")]
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let name = site.resolve(super::reference(&arguments.name)?)?;
    let answer = check(&site, name)?;
    let text = match answer.unapplied.len() {
        0 => format!("build {name} brings no migration that is not applied"),
        _ => format!("{}build {name} brings {}", table(&answer.unapplied), counted(&answer.unapplied)),
    };
    Ok(Done::looked(text).with("build", name).with("leaves", answer.leaves).with("migrations", answer.unapplied))
}
