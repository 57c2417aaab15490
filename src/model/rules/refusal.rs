//! What a rule says that forbids a command: what, why, and what to do instead.

use std::fmt;

use super::super::freeze::Freeze;
use super::super::layout::Role;
use super::super::name::BuildName;
use super::super::observed::State;
use super::super::rollback::Skipped;

/// A command that a rule forbids, with what the rule looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such build.
    Missing {
        /// What was asked for.
        name: BuildName,
        /// What was probably meant.
        nearest: Vec<String>,
    },
    /// Nothing holds this role yet.
    NoHolder(Role),
    /// The name's port would lie above 65535.
    NoPort(BuildName),
    /// A complete build of this name exists.
    Exists(BuildName),
    /// The build's create has not ended.
    Incomplete(BuildName),
    /// The build is kept on disk only.
    Archived(BuildName),
    /// The command may not touch the build in this role.
    Holds {
        /// The build.
        name: BuildName,
        /// Its role.
        role: Role,
        /// The command.
        verb: &'static str,
    },
    /// A canary is in the way.
    Canary {
        /// The build of the command.
        name: BuildName,
        /// The command.
        verb: &'static str,
        /// The build whose workers stand beside live's.
        canary: BuildName,
    },
    /// The build has no workers.
    NotActive(BuildName),
    /// Not every worker has loaded the application.
    NotReady(BuildName, State),
    /// Somebody, or a deploy, found the build bad.
    Bad {
        /// The build.
        name: BuildName,
        /// What is wrong with it.
        reason: String,
    },
    /// No build that was live before can be live again.
    NoEarlier(Vec<Skipped>),
    /// A rollback leads to what was live once.
    NeverLive(BuildName),
    /// Somebody has frozen the site.
    Frozen(Freeze),
    /// A running build listens on another port than the configuration gives it.
    OtherPort {
        /// The build.
        name: BuildName,
        /// Where it listens.
        own: u16,
        /// Where it should.
        wanted: u16,
    },
    /// Its requests are held.
    Paused(BuildName),
    /// Root makes no builds for others.
    Root {
        /// The user who runs them.
        user: String,
        /// The command.
        typed: String,
    },
    /// The directory holds files that no create put there.
    Foreign(BuildName),
    /// An archive cannot share files with itself, or with what may change or vanish.
    BadBasis(BuildName),
    /// A deploy was cut short, and is neither continued nor taken back yet.
    UnderWay(BuildName),
    /// The build of a deploy was removed, and another one has its name.
    Remade(BuildName),
    /// No deploy was cut short.
    NoDeploy,
    /// Another build was made live while a deploy was under way.
    Overtaken {
        /// The build that was to be live.
        name: BuildName,
        /// The one that is.
        live: Option<BuildName>,
    },
}

impl Refusal {
    /// Whether the command line itself was at fault, rather than the state of the site.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::NoPort(_))
    }

    /// Why the rule forbids it.
    pub fn cause(&self) -> String {
        match self {
            Self::Missing { .. } => "builds/ has no directory of this name".into(),
            Self::NoHolder(role) => format!("{} does not exist yet", role.link_name()),
            Self::NoPort(_) => "its port would lie above 65535".into(),
            Self::Exists(_) => "a finished build is never made again".into(),
            Self::Incomplete(_) => "its create has not ended".into(),
            Self::Archived(_) => "it is kept on the disk only, and may share files with another build".into(),
            Self::Holds { role, .. } => format!("{} points to it", role.link_name()),
            Self::Canary { .. } => "its workers answer some of the live build's requests".into(),
            Self::NotActive(_) => "it has no workers".into(),
            Self::NotReady(_, state) => format!("it is {state}; a build must be ready before it may be live"),
            Self::Bad { reason, .. } => reason.clone(),
            Self::NoEarlier(skipped) if skipped.is_empty() => "the history knows no other build that was live".into(),
            Self::NoEarlier(skipped) => {
                skipped.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; ")
            }
            Self::NeverLive(_) => "a rollback leads to a build that was live, and is as it was then".into(),
            Self::Frozen(freeze) => freeze.told(),
            Self::OtherPort { own, wanted, .. } => {
                format!("it listens on {own}, and site.base_port in builds.toml now gives it {wanted}")
            }
            Self::Paused(_) => "requests wait for its workers".into(),
            Self::Root { .. } => "what root makes, that user could neither change nor remove".into(),
            Self::Foreign(_) => "it has no build.json, and it is not empty".into(),
            Self::BadBasis(_) => "an archive shares files with another build, a complete one".into(),
            Self::UnderWay(_) => "it runs, or was cut short and has neither ended nor been taken back".into(),
            Self::Remade(_) => "it was removed since the deploy began, and maybe made anew".into(),
            Self::NoDeploy => "none was cut short".into(),
            Self::Overtaken { live, .. } => {
                let live = live.map_or_else(|| "no build".into(), |live| live.to_string());
                format!("{live} is live: another command has moved the names meanwhile")
            }
        }
    }

    /// What to type next.
    pub fn next(&self) -> String {
        match self {
            Self::Missing { nearest, .. } if nearest.is_empty() => "builds list shows the builds".into(),
            Self::Missing { nearest, .. } => format!("did you mean {}? builds list shows the builds", nearest.join(" or ")),
            Self::NoHolder(_) => "builds init".into(),
            Self::NoPort(_) => "builds find-free, or a lower site.base_port in builds.toml".into(),
            Self::Exists(name) => format!("builds create \"$(builds find-free)\", or builds rm {name} first"),
            Self::Incomplete(name) => format!("builds create {name} continues it, builds rm {name} removes it"),
            Self::Archived(name) => format!("builds activate {name} brings it back"),
            Self::Holds { role: Role::Live, verb: "stage", .. } => "builds swap-live changes live and stage".into(),
            Self::Holds { role: Role::Live, verb: "canary", .. } => "builds status shows the other builds".into(),
            Self::Holds { role: Role::Live, .. } => "builds swap-live makes another build live first".into(),
            Self::Holds { role: Role::Stage, .. } => "builds stage another build first".into(),
            Self::Canary { .. } => "builds canary --off ends it".into(),
            Self::NotActive(name) => format!("builds activate {name}"),
            Self::NotReady(name, _) => format!("builds stage {name}"),
            Self::NoEarlier(_) => {
                "builds history shows what was live; builds rollback NAME goes to one of them, builds swap-live NAME to any".into()
            }
            Self::NeverLive(name) => format!("builds swap-live {name} makes it live"),
            Self::Frozen(_) => "builds thaw, when whoever froze it agrees; builds rollback goes back".into(),
            Self::Bad { name, .. } => {
                format!("builds mark {name} --good if it is not; builds list shows the other builds")
            }
            Self::OtherPort { name, .. } => {
                format!(
                    "set site.base_port back; or, where {name} is neither live nor staged, builds stop {name} first"
                )
            }
            Self::Paused(_) => "builds resume lets them go on first".into(),
            Self::Root { user, typed } => format!("sudo -u {user} builds {typed}"),
            Self::Foreign(name) => format!("look into builds/{name} and move it away"),
            Self::BadBasis(_) => "builds list shows the builds to choose from".into(),
            Self::UnderWay(_) => "builds deploy --resume goes on with it, builds deploy --abort takes it back".into(),
            Self::Remade(_) => "builds deploy --abort gives the deploy up, and leaves the build alone".into(),
            Self::NoDeploy => "builds deploy begins one".into(),
            Self::Overtaken { name, .. } => {
                format!(
                    "builds deploy --abort gives {name} up; where it is to be live all the same, builds swap-live {name}, then \
                     builds deploy --resume"
                )
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, .. } => write!(f, "there is no build {name}"),
            Self::NoHolder(role) => write!(f, "no build is {}", role.link_name().trim_start_matches('_')),
            Self::NoPort(name) => write!(f, "{name} is past the last usable name"),
            Self::Exists(name) => write!(f, "build {name} exists"),
            Self::Incomplete(name) => write!(f, "build {name} is incomplete"),
            Self::Archived(name) => write!(f, "build {name} is archived"),
            Self::Holds { name, role: Role::Live, verb } => write!(f, "cannot {verb} {name}: it is live"),
            Self::Holds { name, role: Role::Stage, verb } => write!(f, "cannot {verb} {name}: it is staged"),
            Self::Canary { name, verb, canary } if name == canary => {
                write!(f, "cannot {verb} {name}: it is the canary")
            }
            Self::Canary { name, verb, canary } => write!(f, "cannot {verb} {name}: build {canary} is the canary"),
            Self::NotActive(name) => write!(f, "build {name} is not active"),
            Self::NotReady(name, _) => write!(f, "build {name} is not ready"),
            Self::NoEarlier(_) => f.write_str("no build is left to roll back to"),
            Self::NeverLive(name) => write!(f, "build {name} was never live"),
            Self::Frozen(_) => f.write_str("the site is frozen"),
            Self::Bad { name, .. } => write!(f, "build {name} is bad"),
            Self::OtherPort { name, .. } => write!(f, "build {name} listens on another port"),
            Self::Paused(name) => write!(f, "build {name} is paused"),
            Self::Root { user, .. } => write!(f, "the site's builds run as {user}, and this is root"),
            Self::Foreign(name) => write!(f, "builds/{name} was not made by builds"),
            Self::BadBasis(name) => write!(f, "build {name} cannot be the basis"),
            Self::UnderWay(name) => write!(f, "the deploy of {name} is not over"),
            Self::Remade(name) => write!(f, "build {name} is not the one that was to be deployed"),
            Self::NoDeploy => write!(f, "there is no deploy to go on with"),
            Self::Overtaken { name, .. } => write!(f, "the deploy of {name} was overtaken"),
        }
    }
}

impl std::error::Error for Refusal {}
