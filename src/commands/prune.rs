mod plan;

use clap::Args;

use super::{Cli, rm};
use crate::error::{Error, Result};
use crate::model::name::BuildName;
use crate::model::retention::{Age, Limits, Reason};
use crate::report::Done;
use crate::site::Site;
use crate::system::{aside, signals};
use plan::{Plan, judge};

/// How much stays.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds prune --keep 3 --older-than 14d --explain\n\n\
    Complete builds go, the oldest first, but for the youngest N. Live, staged, canary, rollback targets, incomplete and\n\
    archived builds, and those that a command works on, always stay, and take none of the N places. A bad build takes none\n\
    either, and goes when there is a younger good one and it is a day old, or as old as --older-than says.\n\
    Static files of removed builds go after keep.static_days.")]
pub struct Arguments {
    /// How many complete builds stay besides those that are safe [default: keep.builds]
    #[arg(long, value_name = "N")]
    keep: Option<u16>,
    /// Let what is younger stay, too: a number and d, h, m or s, as in 14d
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// Show what would go and why all else stays, and remove nothing
    #[arg(long)]
    explain: bool,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let keep = arguments.keep.unwrap_or(site.config.keep.builds);
    let limits = Limits { keep: keep.into(), older_than: arguments.older_than };
    if arguments.explain {
        let plan = Plan::make(&site, limits, true)?;
        return Ok(plan.done(false, plan.table()));
    }
    let plan = prune(&site, limits)?;
    Ok(plan.done(plan.removes(), plan.summary()))
}

/// Removes what need not stay, each build under its lock. What cannot be removed keeps nothing else from going. Returns what
/// was done. The caller may hold locks of builds: those count as busy.
///
/// # Errors
/// Some builds are not removed, or the names are not as they must be.
pub fn prune(site: &Site, limits: Limits) -> Result<Plan> {
    let mut plan = Plan::make(site, limits, false)?;
    let mut failed = Vec::new();
    let wanted = plan.remains.len() + plan.rows.iter().filter(|row| row.goes).count();
    for name in std::mem::take(&mut plan.remains) {
        signals::check()?;
        let removed = site.try_lock_build(name).and_then(|lock| match lock {
            Some(_lock) => rm::remove_rest(site, name).map(|()| true),
            None => Ok(false),
        });
        match removed {
            Ok(true) => plan.remains.push(name),
            Ok(false) => {}
            Err(error) => failed.push((name, error)),
        }
    }
    for row in plan.rows.iter_mut().filter(|row| row.goes) {
        signals::check()?;
        match remove(site, row.build, limits) {
            Ok(None) => tracing::info!("prune    {} is removed: {}", row.build, row.reason),
            Ok(Some(why)) => row.stays(why),
            Err(error) => failed.push((row.build, error)),
        }
    }
    signals::check()?;
    if plan.statics.iter().any(|place| place.aside.old > 0) {
        let _lock = site.lock_removed()?;
        aside::sweep(&site.layout.removed_statics(), rm::oldest(site))?;
    }
    let Some((first, _)) = failed.first() else { return Ok(plan) };
    let each = failed.iter().map(|(name, error)| format!("{name}: {}: {}", error.what(), error.cause()));
    Err(Error::Unmet {
        problem: format!("{} of {wanted} builds are not removed", failed.len()),
        cause: each.collect::<Vec<_>>().join("\n"),
        next: format!("builds rm {first}, or builds prune again"),
    })
}

/// Removes a build unless that has become wrong, and returns why.
fn remove(site: &Site, name: BuildName, limits: Limits) -> Result<Option<Reason>> {
    let Some(_lock) = site.try_lock_build(name)? else { return Ok(Some(Reason::Busy)) };
    // Another command may have moved a name, or removed the build, since all was looked at.
    let now = judge(site, limits, Some(name))?;
    match now.into_iter().find(|(candidate, _)| candidate.name == name) {
        Some((_, reason)) if !reason.goes() => Ok(Some(reason)),
        Some(_) => rm::remove(site, name).map(|()| None),
        None => Ok(None),
    }
}
