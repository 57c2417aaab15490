use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::name::BuildName;
use crate::model::rules;
use crate::model::tag::Tag;
use crate::report::Done;
use crate::site::Site;
use crate::steps::in_build;

/// What to run where.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds run live -- python manage.py showmigrations")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let name = site.resolve(super::reference(&arguments.name)?)?;
    attach(&site, name, &arguments.command, cli.common.json)
}

/// Becomes a command in a build, in the user's terminal; or runs it, where a document has to follow.
pub fn attach(site: &Site, name: BuildName, command: &[String], json: bool) -> Result<Done> {
    let build = site.observe(name)?;
    rules::usable(name, build.state())?;
    let tag = build.manifest.map_or_else(Tag::untagged, |manifest| manifest.tag);
    let run = in_build(site, name, &tag, command);
    if !json {
        return Err(run.replace().into());
    }
    let code = run.attached_to_stderr()?;
    Ok(Done::looked("").with("build", name).with("status", code).code(code))
}
