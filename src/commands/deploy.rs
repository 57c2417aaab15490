mod retire;
mod steps;
mod undo;

use std::str::FromStr;
use std::sync::OnceLock;

use clap::Args;
use serde_json::json;

use super::{Cli, canary};
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::plan::{Order, Plan, Planned, Step, Trial};
use crate::model::retention::Age;
use crate::model::rules::Refusal;
use crate::model::wish::Wish;
use crate::report::{self, Done};
use crate::serve::emperor;
use crate::site::Site;
use crate::steps::Course;
use crate::system::files::{self, Mode};

/// What to deploy, or what to do with a deploy that was cut short.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds deploy --ref v1.4\n\n\
    With --json each line of standard output is one event; the last is the result.")]
pub struct Arguments {
    /// Take the files of this commit instead of those in the source directory
    #[arg(long = "ref", value_name = "REV")]
    reference: Option<String>,
    /// What to call its contents [default: what git calls the source]
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Also apply migrations that the code in use may not survive
    #[arg(long)]
    allow_destructive: bool,
    /// Before the swap, let the build answer about so much of the requests to live, 1% to 50%
    #[arg(long, value_name = "SHARE", requires = "time")]
    canary: Option<Percent>,
    /// For how long, as in 5m: a number and d, h, m or s
    #[arg(long = "for", value_name = "TIME", requires = "canary")]
    time: Option<Age>,
    /// Print the steps, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with a deploy that was cut short
    #[arg(long, conflicts_with_all = ["reference", "tag", "canary"])]
    resume: bool,
    /// Take a deploy back that was cut short: the names are as before, the build is removed
    #[arg(long, conflicts_with_all = ["reference", "tag", "allow_destructive", "canary", "resume", "dry_run"])]
    abort: bool,
}

/// A share of requests.
#[derive(Clone, Copy, Debug)]
struct Percent(u16);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|number| (1..=50).contains(number));
        number.map(Self).ok_or_else(|| "a share is a number of percent from 1% to 50%".into())
    }
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let tag = arguments.tag.as_deref().map(str::parse).transpose()?;
    let wish = Wish { tag, reference: arguments.reference.clone(), fresh: false };
    let trial = |(Percent(percent), time): (Percent, Age)| Trial { percent, seconds: time.seconds };
    let canary = arguments.canary.zip(arguments.time).map(trial);
    let order = Order { wish, allow_destructive: arguments.allow_destructive, canary };
    if arguments.dry_run {
        let plan = plan(&site, arguments, || {
            Plan::new(&site.config, site.names()?, site.find_free()?, order).map_err(Error::from)
        })?;
        return preview(&site, &plan);
    }
    let _deploy = site.lock_deploy()?;
    if arguments.abort {
        return undo::abort(&site, cut_short(&site)?);
    }
    emperor::check_user(&site)?;
    let plan = plan(&site, arguments, || begin(&site, order))?;
    site.noting(Action::Deploy, plan.build, |_| execute(&site, plan, cli.common.json))
}

/// The plan that was cut short, where it is to go on, or a new one.
fn plan(site: &Site, arguments: &Arguments, new: impl FnOnce() -> Result<Plan>) -> Result<Plan> {
    match (cut_short(site)?, arguments.resume) {
        (Some(plan), true) => {
            let allow_destructive = plan.order.allow_destructive || arguments.allow_destructive;
            let swapped = was_live(site, plan.build)?;
            Ok(Plan { order: Order { allow_destructive, ..plan.order }, swapped, ..plan })
        }
        (None, true) => Err(Refusal::NoDeploy.into()),
        (Some(plan), false) => Err(Refusal::UnderWay(plan.build).into()),
        (None, false) => new(),
    }
}

/// Shows what a deploy would do now.
fn preview(site: &Site, plan: &Plan) -> Result<Done> {
    let left = plan.left(site.names()?)?;
    let line = |planned: &Planned| format!("{:<8} {}\n", planned.step.name(), planned.what);
    let text = left.iter().map(line).collect::<String>();
    Ok(Done::looked(text).with("build", plan.build).with("plan", plan).with("left", left))
}

/// Writes down what is to be done with the next free name, and takes that. The other way round, who is killed in between
/// would leave a name that nobody knows to be free.
fn begin(site: &Site, order: Order) -> Result<Plan> {
    site.check_thawed()?;
    let before = site.names()?;
    loop {
        let plan = Plan::new(&site.config, before, site.find_free()?, order.clone())?;
        keep(site, &plan)?;
        let taken = site.take(plan.build).inspect_err(|_| drop(files::remove(&site.layout.deploy())));
        if taken? {
            return Ok(plan);
        }
    }
}

/// Writes down what is to be done, for a deploy that goes on with it.
fn keep(site: &Site, plan: &Plan) -> Result<()> {
    let path = site.layout.deploy();
    let text = serde_json::to_vec_pretty(plan).map_err(|error| Error::io("write", &path)(error.into()))?;
    files::write(&path, &text, Mode::Public)
}

/// Checks that the build of a plan is the one that was made for it.
fn same_build(site: &Site, plan: &Plan) -> Result<()> {
    let Some(made) = plan.made else { return Ok(()) };
    let same = site.manifest(plan.build)?.is_some_and(|manifest| manifest.created == made);
    if same { Ok(()) } else { Err(Refusal::Remade(plan.build).into()) }
}

/// Notes what a step has done, for the steps behind it. What the history does not tell whoever goes on later is kept.
fn note(site: &Site, plan: &mut Plan, step: Step) -> Result<()> {
    match step {
        Step::Create => {
            plan.made = site.manifest(plan.build)?.map(|manifest| manifest.created);
            keep(site, plan)
        }
        Step::Swap => {
            plan.swapped = true;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a build has been live, as the history tells: also of a swap that was killed in the middle, as whoever moves the
/// names after it writes down what it did.
fn was_live(site: &Site, name: BuildName) -> Result<bool> {
    let Some(made) = site.manifest(name)? else { return Ok(false) };
    Ok(site.lives()?.knows(&made))
}

/// The plan of a deploy that was cut short.
fn cut_short(site: &Site) -> Result<Option<Plan>> {
    let path = site.layout.deploy();
    let Some(text) = files::read(&path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Unmet {
        problem: format!("{} cannot be read", path.display()),
        cause: error.to_string(),
        next: format!("builds list shows what there is; rm {} gives the deploy up", path.display()),
    })
}

/// Does what is left of a plan.
fn execute(site: &Site, mut plan: Plan, json: bool) -> Result<Done> {
    let tell = |event| {
        if json {
            report::event(event)
        }
    };
    let before = site.names()?;
    tell(json!({"event": "plan", "plan": plan}));
    let left = plan.left(before)?.to_vec();
    let (course, mut seen) = (Course::of(left.iter().map(|planned| planned.step.name())), OnceLock::new());
    for Planned { step, .. } in left {
        tell(json!({"event": "step", "step": step, "state": "begun"}));
        let done = course.follow(step.name(), || steps::take(site, &plan, step, &mut seen));
        let seconds = done.as_ref().ok().map(|record| record.seconds);
        let state = if done.is_ok() { "done" } else { "failed" };
        tell(json!({"event": "step", "step": step, "state": state, "seconds": seconds}));
        done.and_then(|_| note(site, &mut plan, step)).map_err(|error| undo::after(site, &plan, step, error))?;
    }
    // Somebody may have gone back while this one tidied up.
    let names = site.names()?;
    plan.left(names)?;
    let tag = site.manifest(plan.build)?.map(|manifest| manifest.tag);
    if let Err(error) = files::remove(&site.layout.deploy()) {
        let (what, cause) = (error.what(), error.cause());
        tracing::warn!("{what}: {cause}; all else is done, and builds deploy --resume tries it again");
    }
    canary::end_stale(site);
    let seconds = course.elapsed().as_secs_f64();
    let called = tag.as_ref().map_or_else(String::new, |tag| format!(" ({tag})"));
    Ok(Done::changed(true, format!("build {}{called} is live, after {seconds:.1} s", plan.build))
        .with("build", plan.build)
        .with("tag", tag)
        .with("live", names.live)
        .with("stage", names.stage)
        .with("seconds", seconds))
}
