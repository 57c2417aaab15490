use clap::Args;

use super::{Cli, activate, warmup};
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::observed::{Names, State};
use crate::model::rules;
use crate::report::Done;
use crate::serve::names::{self, Moved};
use crate::site::{Deed, Site};

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds stage c")]
pub struct Arguments {
    /// A build's name; never the live one
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let staged = stage(&site, name)?;
    let text = if staged.moved { "is staged" } else { "was staged already" };
    Ok(Done::changed(staged.changed, format!("build {name} {text}"))
        .with("build", name)
        .with("live", staged.names.live)
        .with("stage", staged.names.stage)
        .with("nginx_reloaded", staged.reloaded))
}

/// What staging a build took.
pub struct Staged {
    /// Whether anything was done.
    pub changed: bool,
    /// Whether `_stage` was moved.
    pub moved: bool,
    /// Whether nginx was reloaded.
    pub reloaded: bool,
    /// The names then.
    pub names: Names,
}

/// Activates and warms a build, unless it is, and stages it. The caller holds the build's lock.
pub fn stage(site: &Site, name: BuildName) -> Result<Staged> {
    site.noting(Action::Stage, name, |deed| {
        let build = site.observe(name)?;
        rules::stage(name, build.state(), &site.names()?)?;
        rules::good(name, build.bad())?;
        site.check_thawed()?;
        let activated = activate::activate(site, name)?;
        // Warm only tells that the workers have answered, be it with errors: a build is staged on good answers of its own.
        let warmed = site.names()?.stage != Some(name) || site.observe(name)?.state() < State::Warm;
        if warmed {
            warmup::warm(site, name, site.config.warmup.concurrency)?;
        }

        let (names, moved) = point(site, name, deed)?;
        let changed = activated || warmed || moved.links;
        Ok(Staged { changed, moved: moved.links, reloaded: moved.reloaded, names })
    })
}

/// Points `_stage` at a build that is warm; the names then, and what that took. The caller holds the build's lock.
pub fn point(site: &Site, name: BuildName, deed: &mut Deed) -> Result<(Names, Moved)> {
    let allowed = |before: Names| {
        site.check_thawed()?;
        let build = site.observe(name)?;
        rules::good(name, build.bad())?;
        rules::stage(name, build.state(), &before)?;
        Ok(Names { stage: Some(name), ..before })
    };
    deed.ask(|| allowed(site.names()?))?;
    let before = deed.lock_names()?;
    let names = allowed(before)?;
    let moved = names::move_to(site, before, names)?;
    deed.changed(moved.links || moved.reloaded);
    Ok((names, moved))
}
