use clap::Args;

use super::{Cli, activate, warmup};
use crate::error::Result;
use crate::model::name::BuildName;
use crate::model::observed::{Names, State};
use crate::model::rules;
use crate::report::Done;
use crate::serve::names::{self, Moved};
use crate::site::Site;

/// Which build.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A build's name; never the live one
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    rules::stage(name, site.observe(name)?.state(), &site.names()?)?;
    let activated = activate::activate(&site, name)?;
    // Warm only tells that the workers have answered, be it with errors: a build is staged on good answers of its own.
    let warmed = site.names()?.stage != Some(name) || site.observe(name)?.state() < State::Warm;
    if warmed {
        warmup::warm(&site, name, site.config.warmup.concurrency)?;
    }

    let (before, moved) = point(&site, name)?;
    let text = if moved.links { "is staged" } else { "was staged already" };
    Ok(Done::changed(activated || warmed || moved.links, format!("build {name} {text}"))
        .with("build", name)
        .with("live", before.live)
        .with("stage", name)
        .with("nginx_reloaded", moved.reloaded))
}

/// Points `_stage` at a build that is warm; the names as they were, and what it took. The caller holds the build's lock.
pub fn point(site: &Site, name: BuildName) -> Result<(Names, Moved)> {
    let _names = site.lock_names()?;
    let before = site.names()?;
    rules::stage(name, site.observe(name)?.state(), &before)?;
    let moved = names::move_to(site, before, Names { stage: Some(name), ..before })?;
    Ok((before, moved))
}
