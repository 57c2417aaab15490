//! The way back from a deploy that fails or is given up.

use super::super::{activate, canary, mark, migrate, rm, stop, warmup};
use crate::error::{Error, Fate, Result};
use crate::model::change::{self, Action};
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::{Names, State};
use crate::model::plan::{Plan, Step};
use crate::model::rules::{self, Refusal};
use crate::report::Done;
use crate::serve::{Trouble, names, zerg};
use crate::site::Site;
use crate::system::terminal::Row;
use crate::system::{files, signals};

/// What becomes of a deploy that stopped at a step. What a rule refused, what waited for a lock too long and what a signal
/// cut short can go on later; for anything else the build is to blame, and stays for a look at it. Once it is live, only
/// what it does itself is its fault.
pub fn after(site: &Site, plan: &Plan, step: Step, error: Error) -> Error {
    let harmless = matches!(error.code(), 3 | 4) || plan.swapped && !matches!(error.code(), 5 | 6);
    let can_go_on = signals::noted().is_some() || harmless;
    let reason =
        format!("its deploy stopped at step {}: {}", step.name(), change::reason(&error.what(), &error.cause()));
    let kept = can_go_on || {
        let row = Row::begin("undo");
        let visited = step >= Step::Swap;
        let aside = signals::shielded(|| set_aside(site, plan, &reason, visited));
        row.end();
        aside.inspect_err(warn).is_err()
    };
    let fate = match kept {
        false => Fate::SetAside,
        true if site.links().live == Some(plan.build) => Fate::Live,
        true => Fate::Kept,
    };
    Error::Deploy { step: step.name(), name: plan.build, fate, source: Box::new(error) }
}

fn warn(error: &Error) {
    tracing::warn!("the failed build is not set aside: {}: {}", error.what(), error.cause());
}

/// Gives the names back, stops the build, marks it bad, and ends the deploy. `visited` is whether it may have been live.
fn set_aside(site: &Site, plan: &Plan, reason: &str, visited: bool) -> Result<()> {
    give_back(site, plan)?;
    let (name, _lock) = site.claim(BuildRef::Name(plan.build))?;
    end(site, name, !visited)?;
    // A build that did not come so far as to have a manifest is nothing that anybody could use.
    // One that was watched is marked already, with what was seen.
    if site.manifest(name)?.is_some_and(|made| made.bad.is_none()) {
        mark::mark(site, name, Some(reason))?;
    }
    files::remove(&site.layout.deploy()).map(drop)
}

/// Stops a build. Requests that it does not answer within `uwsgi.drain_timeout` are cut where they may be: it may hang, and must
/// not be in the way of every later deploy.
fn end(site: &Site, name: BuildName, may_cut: bool) -> Result<()> {
    if site.observe(name)?.state() <= State::Archived {
        return Ok(());
    }
    match stop::stop(site, name) {
        Err(Error::Serve(trouble)) if may_cut && matches!(*trouble, Trouble::NotDrained { .. }) => {
            zerg::cut(site, name)?;
            stop::stop(site, name).map(drop)
        }
        stopped => stopped.map(drop),
    }
}

/// Has the names as they are without the deploy; whether they were not.
fn give_back(site: &Site, plan: &Plan) -> Result<bool> {
    if site.canary()?.is_some_and(|canary| canary.name == plan.build) {
        canary::end(site)?;
    }
    let now = site.names()?;
    let after = undone(site, plan, now);
    if let Some(live) = after.live.filter(|_| now.live != after.live) {
        rules::good(live, site.observe(live)?.bad())?;
        migrate::may_return(site, live)?;
    }
    let mut holders: Vec<_> = [after.live, after.stage].into_iter().flatten().collect();
    holders.sort();
    let mut locks = Vec::new();
    for name in holders {
        locks.push(site.claim(BuildRef::Name(name))?);
    }
    if site.names()?.live != after.live
        && let Some(live) = after.live
        && site.observe(live)?.state() < State::Ready
    {
        activate::activate(site, live)?;
        warmup::warm(site, live, site.config.warmup.concurrency)?;
    }
    site.noting(Action::Undo, plan.build, |deed| {
        let now = deed.lock_names()?;
        let after = undone(site, plan, now);
        let moved = now != after && names::move_to(site, now, after)?.links;
        deed.changed(moved);
        Ok(moved)
    })
}

/// The names as they are without the deploy. Who was staged before it may be gone.
fn undone(site: &Site, plan: &Plan, now: Names) -> Names {
    let after = plan.undone(now);
    Names { stage: after.stage.filter(|&stage| site.is_build(stage)), ..after }
}

/// Takes back a deploy that was cut short: the names are as before, and the build is gone.
pub fn abort(site: &Site, cut: Option<Plan>) -> Result<Done> {
    let Some(plan) = cut else { return Err(Refusal::NoDeploy.into()) };
    let name = plan.build;
    let moved = give_back(site, &plan)?;
    let lock = site.lock_build(name)?;
    // One that somebody has made anew is not the deploy's to remove.
    let own = match site.is_build(name) {
        true => super::same_build(site, &plan).is_ok(),
        false => rm::is_left(site, name),
    };
    if own {
        if site.is_build(name) {
            end(site, name, true)?;
        }
        rm::remove(site, name)?;
    }
    drop(lock);
    files::remove(&site.layout.deploy())?;
    let names = site.names()?;
    let moved = if moved { "; the names are as before" } else { "" };
    let removed = if own { format!(", and build {name} is removed") } else { String::new() };
    Ok(Done::changed(true, format!("the deploy of {name} is taken back{moved}{removed}"))
        .with("build", name)
        .with("live", names.live)
        .with("stage", names.stage))
}
