//! What each step of a deploy does. Done again, it finds that it is done.

use std::sync::OnceLock;
use std::time::Duration;

use super::super::gates::{self, Gate, Passed};
use super::super::{activate, canary, create, migrate, stage, swap_live, warmup, watch};
use super::retire;
use crate::error::Result;
use crate::model::canary::workers_for;
use crate::model::change::Action;
use crate::model::manifest::Progress;
use crate::model::migrations::Answer;
use crate::model::name::BuildRef;
use crate::model::plan::{Plan, Step};
use crate::serve::zerg;
use crate::site::Site;
use crate::steps::Course;
use crate::system::{files, signals};

/// Takes a step, and says what it did. What the databases lack is `seen` while the build is made.
///
/// # Errors
/// Those of the verb that does the same.
pub fn take(site: &Site, plan: &Plan, step: Step, seen: &mut OnceLock<Answer>) -> Result<Option<String>> {
    let name = plan.build;
    // Somebody else's swap is not to be taken back by this one.
    plan.left(site.names()?)?;
    super::same_build(site, plan)?;
    // These take the locks of the builds that they change themselves.
    let _claim = if matches!(step, Step::Create | Step::Canary | Step::Watch | Step::Retire) {
        None
    } else {
        Some(site.claim(BuildRef::Name(name))?)
    };
    Ok(Some(match step {
        Step::Create => create(site, plan, seen)?,
        Step::Migrate => {
            let applied = migrate::before_swap(site, name, plan.order.allow_destructive, seen.take())?;
            if applied.is_empty() {
                "nothing to apply".into()
            } else {
                format!("applied {}", migrate::counted(&applied))
            }
        }
        Step::Activate => {
            activate::activate(site, name)?;
            format!("build {name} is ready")
        }
        Step::Warm => warmup::warm(site, name, site.config.warmup.concurrency)?.summary(),
        Step::BeforeStage => passed(gates::pass(site, name, Gate::BeforeStage)?),
        Step::BeforeLive => passed(gates::pass(site, name, Gate::BeforeLive)?),
        Step::Stage => {
            site.noting(Action::Stage, name, |deed| stage::point(site, name, deed))?;
            format!("build {name} is staged")
        }
        Step::Canary => try_out(site, plan)?,
        Step::Swap => {
            // A hook before it may take its time, and somebody may move the names meanwhile.
            swap_live::swap(site, name, |before| Ok(plan.left(before).map(drop)?))?;
            format!("build {name} is live")
        }
        Step::Watch => watch(site, plan)?,
        Step::Retire => retire::retire(site),
    }))
}

/// Lets the build answer a share of live's requests, and compares.
fn try_out(site: &Site, plan: &Plan) -> Result<String> {
    let Some(trial) = plan.order.canary else { return Ok("no share".into()) };
    let others = site.observe(site.resolve(BuildRef::Live)?)?.workers.as_deref().map_or(0, zerg::started);
    let started = canary::start(site, BuildRef::Name(plan.build), workers_for(trial.percent, others))?;
    let watched = watch::keep_or_end(site, started.canary, Duration::from_secs(trial.seconds));
    let ended = signals::shielded(|| canary::end(site));
    let watched = watched?;
    ended?;
    Ok(watch::told(watched.after))
}

/// Watches the build that is live now, and takes it back if it does worse than the one before.
fn watch(site: &Site, plan: &Plan) -> Result<String> {
    let (since, old) =
        watch::went_live(site, plan.build).ok().flatten().unwrap_or_else(|| (files::now(), plan.before.live));
    let watched = watch::keep_or_take_back(site, plan.build, old, since, site.config.watch.seconds)?;
    Ok(watch::told(watched.after))
}

fn passed(commands: Vec<Passed>) -> String {
    format!("{} passed", commands.into_iter().map(|passed| passed.command.join(" ")).collect::<Vec<_>>().join("; "))
}

fn create(site: &Site, plan: &Plan, seen: &OnceLock<Answer>) -> Result<String> {
    let made = site.manifest(plan.build)?.is_some_and(|made| made.state != Progress::Creating && made.has_listened());
    if made {
        return Ok(format!("build {} is complete", plan.build));
    }
    create::create(site, plan.build, &plan.order.wish, &Course::begin(), Some(seen))?;
    Ok(format!("build {} listens", plan.build))
}
