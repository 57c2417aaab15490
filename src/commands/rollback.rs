use clap::Args;
use serde_json::json;

use super::{Cli, activate, canary, migrate, warmup};
use crate::error::Result;
use crate::model::change::Action;
use crate::model::layout::Role;
use crate::model::manifest::{Manifest, Progress};
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::{Names, State};
use crate::model::rollback::Skipped;
use crate::model::rules::{self, Refusal};
use crate::report::Done;
use crate::serve::names::{self, Moved};
use crate::site::{Deed, Site};

/// Where to.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds rollback")]
pub struct Arguments {
    /// A build that was live before [default: the one that was live before this one]
    name: Option<String>,
    /// Though its code does not know what destructive migrations have done since
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let wanted = match arguments.name.as_deref().map(super::reference).transpose()? {
        // The staged build may be damaged, and no reason to stop.
        Some(BuildRef::Live) => Some(site.links().live.ok_or(Refusal::NoHolder(Role::Live))?),
        Some(BuildRef::Stage) => Some(site.links().stage.ok_or(Refusal::NoHolder(Role::Stage))?),
        Some(BuildRef::Name(name)) => Some(name),
        None => None,
    };
    let (to, rolled) = rollback(&site, wanted, arguments.force)?;
    let skipped: Vec<_> = rolled.skipped.iter().map(|(name, why)| json!({"build": name, "reason": why})).collect();
    let text = match (rolled.moved.links, rolled.names.stage) {
        (true, Some(stage)) => format!("build {to} is live again; {stage} is staged"),
        (true, None) => format!("build {to} is live again"),
        (false, _) => format!("build {to} was live already"),
    };
    Ok(Done::changed(rolled.moved.links, text)
        .with("live", rolled.names.live)
        .with("stage", rolled.names.stage)
        .with("nginx_reloaded", rolled.moved.reloaded)
        .with("skipped", skipped))
}

/// What a rollback did.
pub struct Rolled {
    /// The names then.
    pub names: Names,
    /// What moving them took.
    pub moved: Moved,
    /// The builds that it passed over.
    pub skipped: Vec<Skipped>,
}

/// Makes the build live again that was live before the one that is, or `wanted`, which was live some time. Nothing but the
/// exchange of the names where it is ready; otherwise it is activated and warmed first. With `force` also where destructive
/// migrations stand in between. The caller holds no lock.
///
/// # Errors
/// There is no such build, it does not load, or it does not know its databases any more; the names are as they were.
pub fn rollback(site: &Site, wanted: Option<BuildName>, force: bool) -> Result<(BuildName, Rolled)> {
    loop {
        // Otherwise somebody moved the names meanwhile, and it is another build's turn.
        if let Some(done) = leave(site, site.links().live, wanted, force)? {
            return Ok(done);
        }
    }
}

/// The same from the build `live` alone; `None` where another one is live by the time at which the names would move.
///
/// # Errors
/// As [`rollback`].
pub fn leave(
    site: &Site,
    live: Option<BuildName>,
    wanted: Option<BuildName>,
    force: bool,
) -> Result<Option<(BuildName, Rolled)>> {
    let chosen = choose(site, wanted, live).or_else(|error| site.noting(Action::Rollback, wanted, |_| Err(error)));
    let (name, skipped) = chosen?;
    let lock = site.lock_build(name)?;
    let rolled = site.noting(Action::Rollback, name, |deed| {
        if !force && live != Some(name) {
            migrate::may_return(site, name)?;
        }
        go_back(site, deed, name, live)
    })?;
    let Some((names, moved)) = rolled else { return Ok(None) };
    drop(lock);
    canary::end_stale(site);
    for (build, why) in &skipped {
        tracing::info!("rollback passed over {build}: {why}");
    }
    Ok(Some((name, Rolled { names, moved, skipped })))
}

/// Where a rollback would lead now.
///
/// # Errors
/// The history cannot be read.
pub fn target(site: &Site) -> Result<Option<BuildName>> {
    let lives = site.lives()?;
    Ok(lives.target(site.links().live, |name| site.manifest(name).ok().flatten()).0)
}

/// The build to go back to from the one that is live, and those that are passed over.
fn choose(site: &Site, wanted: Option<BuildName>, live: Option<BuildName>) -> Result<(BuildName, Vec<Skipped>)> {
    let lives = site.lives()?;
    let manifest = |name| site.manifest(name).ok().flatten();
    let Some(name) = wanted else {
        return match lives.target(live, manifest) {
            (Some(name), skipped) => Ok((name, skipped)),
            (None, skipped) => Err(Refusal::NoEarlier(skipped).into()),
        };
    };
    let name = site.resolve(BuildRef::Name(name))?;
    if live != Some(name) {
        let manifest = manifest(name).ok_or(Refusal::Incomplete(name))?;
        rules::good(name, manifest.bad.as_ref())?;
        if !lives.knows(&manifest) {
            return Err(Refusal::NeverLive(name).into());
        }
    }
    Ok((name, Vec::new()))
}

/// Moves the names to a build; `None` where live is no longer the one that was to be left.
fn go_back(site: &Site, deed: &mut Deed, name: BuildName, live: Option<BuildName>) -> Result<Option<(Names, Moved)>> {
    if live != Some(name) {
        let build = site.observe(name)?;
        // It was chosen before it was locked.
        rules::good(name, build.bad())?;
        if build.state() < State::Ready {
            activate::activate(site, name)?;
            warmup::warm(site, name, site.config.warmup.concurrency)?;
        }
    }
    let before = deed.lock_links()?;
    if before.live != live {
        deed.changed(false);
        return Ok(None);
    }
    let mut after = rules::swap(name, site.observe(name)?.state(), &before)?;
    if after != before {
        after.stage = after.stage.map(|old| stage(site, old, &before, name));
    }
    let moved = names::move_to(site, before, after)?;
    deed.changed(moved.links || moved.reloaded);
    Ok(Some((after, moved)))
}

/// The build to stage: the one that was live, unless it is damaged and there is another.
fn stage(site: &Site, old: BuildName, before: &Names, name: BuildName) -> BuildName {
    let whole = |build: &BuildName| {
        let manifest = site.manifest(*build).ok().flatten();
        *build != name && manifest.is_some_and(|manifest: Manifest| manifest.state == Progress::Complete)
    };
    let others = || before.stage.into_iter().chain(site.builds().unwrap_or_default());
    match [old].into_iter().chain(others()).find(whole) {
        Some(stage) => {
            if stage != old {
                tracing::warn!("build {old}, which was live, is damaged; {stage} is staged in its place");
            }
            stage
        }
        None => {
            tracing::warn!(
                "build {old}, which is staged now, is damaged, and there is no other; builds create makes one"
            );
            old
        }
    }
}
