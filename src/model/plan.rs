//! What a deploy will do, as one value: `--dry-run` prints it, `deploy` executes it, `--resume` and `--abort` read it from
//! the disk.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::config::{ArgumentList, Config};
use super::name::BuildName;
use super::observed::Names;
use super::rules::Refusal;
use super::wish::Wish;
use super::words::count;

/// A deploy: a build that does not exist yet, and the way from where the names are to where it is live.
///
/// Each step finds out for itself what is done of it already, so a plan that was cut short is executed again from its begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The new build.
    pub build: BuildName,
    /// What was asked for.
    #[serde(flatten)]
    pub order: Order,
    /// Who has the names when it begins.
    pub before: Names,
    /// When the build was made, in seconds since 1970: its name may come again.
    #[serde(default)]
    pub made: Option<u64>,
    /// Whether it has become live, which is not kept here: the history tells.
    #[serde(skip)]
    pub swapped: bool,
    /// The steps, in order.
    pub steps: Vec<Planned>,
}

/// What an operator asks of a deploy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What the build is made of.
    #[serde(flatten)]
    pub wish: Wish,
    /// Whether migrations may be applied that the code in use may not survive.
    #[serde(default)]
    pub allow_destructive: bool,
    /// Whether a share of the requests meets the build before all do.
    #[serde(default)]
    pub canary: Option<Trial>,
}

/// A share of the requests, for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The share, in percent.
    pub percent: u16,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Which.
    pub step: Step,
    /// What it will do, for people.
    pub what: String,
}

/// The steps that a deploy can have, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Make the build.
    Create,
    /// Bring the databases to what it needs.
    Migrate,
    /// Start its workers.
    Activate,
    /// Send requests until each worker has answered.
    Warm,
    /// Run the commands that it must pass to be staged.
    BeforeStage,
    /// Point `_stage` at it.
    Stage,
    /// Run the commands that it must pass to be live.
    BeforeLive,
    /// Let a share of the requests meet it, and compare.
    Canary,
    /// Make it live.
    Swap,
    /// Compare what it answers with what the build before it did, and go back if it does worse.
    Watch,
    /// Stop what is no longer needed for a way back, and remove what need not stay.
    Retire,
}

impl Step {
    /// Its name in lines and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Migrate => "migrate",
            Self::Activate => "activate",
            Self::Warm => "warm",
            Self::BeforeStage | Self::BeforeLive => "gates",
            Self::Stage => "stage",
            Self::Canary => "canary",
            Self::Swap => "swap",
            Self::Watch => "watch",
            Self::Retire => "retire",
        }
    }
}

impl Plan {
    /// The way of a new build to be live.
    ///
    /// # Errors
    /// No build is live yet: a new site is begun by `init`.
    pub fn new(config: &Config, before: Names, build: BuildName, order: Order) -> Result<Self, Refusal> {
        let live = before.live.ok_or(Refusal::NoHolder(super::layout::Role::Live))?;
        let stage = before.stage.map_or_else(|| "nobody".into(), |stage| stage.to_string());
        let warmup = &config.warmup;
        let at_once = count(warmup.concurrency, "request");
        let steps = [
            Some((Step::Create, create(config, build, &order.wish))),
            Some((Step::Migrate, migrate(config, order.allow_destructive).into())),
            Some((Step::Activate, format!("start {}", count(config.uwsgi.workers, "worker")))),
            Some((Step::Warm, format!("{at_once} at a time, until every worker has answered"))),
            gate(&config.gates.before_stage).map(|what| (Step::BeforeStage, what)),
            Some((Step::Stage, format!("_stage: {stage} → {build}"))),
            gate(&config.gates.before_live).map(|what| (Step::BeforeLive, what)),
            order.canary.map(|trial| (Step::Canary, trial.what(live))),
            Some((Step::Swap, format!("_live: {live} → {build}, _stage: {build} → {live}"))),
            watch(config, live).map(|what| (Step::Watch, what)),
            Some((Step::Retire, retire(config))),
        ];
        let steps = steps.into_iter().flatten().map(|(step, what)| Planned { step, what }).collect();
        Ok(Self { build, order, before, made: None, swapped: false, steps })
    }

    /// The steps that are left: those before the swap are done, or nobody's business any more, once the build is live. The
    /// swap itself may have been killed between the links and nginx.
    ///
    /// # Errors
    /// Somebody has made another build live since the deploy began, or since its swap.
    pub fn left(&self, now: Names) -> Result<&[Planned], Refusal> {
        if now.live == Some(self.build) {
            let swap = self.steps.iter().position(|planned| planned.step == Step::Swap);
            return Ok(&self.steps[swap.unwrap_or(0)..]);
        }
        if now.live != self.before.live || self.swapped {
            return Err(Refusal::Overtaken { name: self.build, live: now.live });
        }
        Ok(&self.steps)
    }

    /// The names as they are without this deploy. What others have done since stays.
    pub fn undone(&self, now: Names) -> Names {
        let live = if now.live == Some(self.build) { self.before.live } else { now.live };
        let lost = now.stage == Some(self.build) || now.stage == live;
        let stage = if lost { self.before.stage.filter(|&stage| Some(stage) != live) } else { now.stage };
        Names { live, stage }
    }
}

impl Trial {
    fn what(self, live: BuildName) -> String {
        let Self { percent, seconds } = self;
        format!("answer about {percent} % of the requests to {live} for {seconds} s, and stop if they fare worse")
    }
}

fn create(config: &Config, build: BuildName, wish: &Wish) -> String {
    let mut text = format!("copy {}", config.site.source.display());
    if let Some(reference) = &wish.reference {
        write!(text, " at {reference}").unwrap_or_default();
    }
    write!(text, " to {build}, install its packages, make its static files").unwrap_or_default();
    text
}

fn migrate(config: &Config, allow_destructive: bool) -> &'static str {
    match (config.migrate.run, allow_destructive) {
        (false, _) => "check that the databases lack no migration",
        (true, false) => "apply what the databases lack, if the code in use survives it",
        (true, true) => "apply what the databases lack, even if the code in use does not survive it",
    }
}

/// What is watched, if that is wanted.
fn watch(config: &Config, old: BuildName) -> Option<String> {
    let watch = &config.watch;
    let seconds = watch.seconds.as_secs();
    let limits = format!(
        "{} of requests fail or 95 of 100 take {} times as long",
        watch.max_error_rate.value(),
        watch.max_p95_ratio.value()
    );
    (seconds > 0).then(|| format!("for {seconds} s; {old} is live again if more than {limits}"))
}

fn retire(config: &Config) -> String {
    let were = if config.keep.warm == 1 { "was" } else { "were" };
    let warm = count(config.keep.warm, "build");
    format!("leave {warm} running that {were} live, and remove all but the youngest {}", config.keep.builds)
}

/// The commands of a gate, if it has any.
fn gate(commands: &[ArgumentList]) -> Option<String> {
    let lines: Vec<String> = commands.iter().map(|command| command.as_slice().join(" ")).collect();
    (!lines.is_empty()).then(|| format!("run {}", lines.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::config;
    use crate::model::layout::Role;

    const LETTERS: [Option<u32>; 4] = [None, Some(0), Some(1), Some(2)];

    fn names(live: Option<u32>, stage: Option<u32>) -> Names {
        Names { live: live.map(BuildName::from_number), stage: stage.map(BuildName::from_number) }
    }

    /// A deploy of c to a site with live a and stage b.
    fn plan() -> Plan {
        let text = "[gates]\nbefore_live = [[\"make\", \"smoke\"], [\"true\"]]";
        let config = config::parse(text, Path::new("/srv/shop/builds.toml")).unwrap();
        Plan::new(&config, names(Some(0), Some(1)), BuildName::from_number(2), Default::default()).unwrap()
    }

    #[test]
    fn a_plan_tells_each_step() {
        let lines: Vec<String> =
            plan().steps.iter().map(|planned| format!("{} {}", planned.step.name(), planned.what)).collect();
        assert_eq!(
            lines,
            [
                "create copy /srv/shop to c, install its packages, make its static files",
                "migrate check that the databases lack no migration",
                "activate start 2 workers",
                "warm 6 requests at a time, until every worker has answered",
                "stage _stage: b → c",
                "gates run make smoke; true",
                "swap _live: a → c, _stage: c → a",
                "retire leave 1 build running that was live, and remove all but the youngest 5",
            ]
        );
    }

    #[test]
    fn a_site_without_a_live_build_has_no_deploy() {
        let config = config::parse("", Path::new("/srv/shop/builds.toml")).unwrap();
        let plan = Plan::new(&config, Names::default(), BuildName::FIRST, Default::default());
        assert_eq!(plan, Err(Refusal::NoHolder(Role::Live)));
    }

    #[test]
    fn what_is_left_follows_from_the_names() {
        let plan = plan();
        let all = plan.steps.len();
        let cases = [
            (names(Some(0), Some(1)), Ok(all)),
            (names(Some(0), Some(2)), Ok(all)),
            (names(Some(0), None), Ok(all)),
            (names(Some(2), Some(0)), Ok(2)),
            (names(Some(1), Some(0)), Err(Some(1))),
            (names(None, Some(0)), Err(None)),
        ];
        let swapped = Plan { swapped: true, ..plan.clone() };
        assert!(swapped.left(names(Some(0), Some(2))).is_err() && swapped.left(names(Some(2), Some(0))).is_ok());
        for (now, expected) in cases {
            let left = plan.left(now).map(<[_]>::len).map_err(|refusal| match refusal {
                Refusal::Overtaken { live, .. } => live.map(BuildName::number),
                other => panic!("{other}"),
            });
            assert_eq!(left, expected, "{now:?}");
        }
    }

    #[test]
    fn nothing_of_a_deploy_is_left_in_the_names_that_are_undone() {
        let plan = plan();
        let cases = [
            (names(Some(0), Some(1)), names(Some(0), Some(1))),
            (names(Some(0), Some(2)), names(Some(0), Some(1))),
            (names(Some(2), Some(0)), names(Some(0), Some(1))),
            (names(Some(2), Some(3)), names(Some(0), Some(3))),
            (names(Some(1), Some(0)), names(Some(1), Some(0))),
            (names(Some(1), Some(2)), names(Some(1), None)),
        ];
        for (now, expected) in cases {
            assert_eq!(plan.undone(now), expected, "{now:?}");
        }
        for (live, stage) in LETTERS.iter().flat_map(|live| LETTERS.map(|stage| (*live, stage))) {
            let undone = plan.undone(names(live, stage));
            assert!(undone.live != Some(plan.build) && undone.stage != Some(plan.build), "{live:?} {stage:?}");
            assert!(live == stage || undone.live.is_none() || undone.live != undone.stage, "{live:?} {stage:?}");
        }
    }
}
