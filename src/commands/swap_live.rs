use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::name::BuildRef;
use crate::model::rules;
use crate::report::Done;
use crate::serve::names;

/// Which build.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The build to make live [default: the staged one]
    name: Option<String>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let reference = arguments.name.as_deref().map_or(Ok(BuildRef::Stage), super::reference)?;
    let (name, _lock) = site.claim(reference)?;
    let _names = site.lock_names()?;
    let before = site.names()?;
    let after = rules::swap(name, site.observe(name)?.state(), &before)?;
    let moved = names::move_to(&site, before, after)?;
    let text = match (moved.links, before.live) {
        (true, Some(old)) => format!("build {name} is live; {old} is staged"),
        _ => format!("build {name} was live already"),
    };
    Ok(Done::changed(moved.links, text)
        .with("live", after.live)
        .with("stage", after.stage)
        .with("nginx_reloaded", moved.reloaded))
}
