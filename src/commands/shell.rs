use clap::Args;

use super::Cli;
use super::run::attach;
use crate::error::Result;
use crate::report::Done;

/// Where to open it.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds shell stage")]
pub struct Arguments {
    /// A build's name, live or stage
    #[arg(default_value = "live")]
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let name = site.resolve(super::reference(&arguments.name)?)?;
    let django = site.layout.build(name).dir().join("manage.py").is_file();
    let command: &[&str] = if django { &["python", "manage.py", "shell"] } else { &["python"] };
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    attach(&site, name, &command, cli.common.json)
}
