use clap::Args;

use super::{Cli, canary};
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::Names;
use crate::model::rules;
use crate::report::Done;
use crate::serve::names::{self, Moved};
use crate::site::Site;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds swap-live")]
pub struct Arguments {
    /// The build to make live [default: the staged one]
    name: Option<String>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let reference = arguments.name.as_deref().map_or(Ok(BuildRef::Stage), super::reference)?;
    let (name, lock) = site.claim(reference)?;
    let (after, moved) = swap(&site, name, |_| Ok(()))?;
    drop(lock);
    canary::end_stale(&site);
    let text = match (moved.links, after.stage) {
        (true, Some(old)) => format!("build {name} is live; {old} is staged"),
        _ => format!("build {name} was live already"),
    };
    Ok(Done::changed(moved.links, text)
        .with("live", after.live)
        .with("stage", after.stage)
        .with("nginx_reloaded", moved.reloaded))
}

/// Makes a build live, if it `may_leave` the names as they are; the names then, and what that took. The caller holds the build's lock. Who has given it back ends the
/// canary of the old live build, with [`canary::end_stale`].
pub fn swap(site: &Site, name: BuildName, may_leave: impl Fn(Names) -> Result<()>) -> Result<(Names, Moved)> {
    site.noting(Action::Swap, name, |deed| {
        let allowed = |before: Names| {
            may_leave(before)?;
            let build = site.observe(name)?;
            if before.live != Some(name) {
                site.check_thawed()?;
                rules::good(name, build.bad())?;
            }
            Ok(rules::swap(name, build.state(), &before)?)
        };
        deed.ask(|| allowed(site.names()?))?;
        let before = deed.lock_names()?;
        let after = allowed(before)?;
        let moved = names::move_to(site, before, after)?;
        deed.changed(moved.links || moved.reloaded);
        Ok((after, moved))
    })
}
