//! Which builds stay, which may go, and why.

use std::fmt;
use std::str::FromStr;

use super::layout::Role;
use super::name::BuildName;
use super::observed::State;

/// Seconds for which a bad build stays, so that somebody can look at it.
const LOOK: u64 = 86_400;

/// What counts of one build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: BuildName,
    /// What it can do.
    pub state: State,
    /// Whether it is live or staged.
    pub role: Option<Role>,
    /// When its create began, in seconds since 1970.
    pub created: u64,
    /// Whether it has been found not to work.
    pub bad: bool,
    /// Whether a rollback would go to it.
    pub target: bool,
    /// Whether it is the canary, or the build whose requests the canary shares.
    pub canary: bool,
    /// Whether a command works on it.
    pub busy: bool,
    /// Whether somebody else than `builds` has put files in its place.
    pub foreign: bool,
}

/// How much stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many complete builds stay besides those that are safe; the youngest do.
    pub keep: usize,
    /// What is younger stays, too.
    pub older_than: Option<Age>,
}

/// A time span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    /// In seconds.
    pub seconds: u64,
}

/// Why a build stays, or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is in the way of nobody: it has a role.
    Role(Role),
    /// It is a canary.
    Canary,
    /// A rollback would go to it.
    Target,
    /// A command works on it.
    Busy,
    /// Its create may be continued.
    Incomplete(BuildName),
    /// Somebody wanted to have it for long.
    Archived(BuildName),
    /// It is not ours.
    Foreign(BuildName),
    /// It is one of so many young ones.
    Kept(usize),
    /// It is younger than was asked for.
    Young(Age),
    /// It is bad, and no good build is younger.
    BadAndNew,
    /// It is bad, and so young that somebody may want to look at it.
    BadAndYoung(Age),
    /// So many younger ones stay.
    Beyond(usize),
    /// It is bad, and there is a younger good one.
    Bad,
}

/// What becomes of each build: those that go first, the oldest before the others, then those that stay, by name.
pub fn judge(builds: &[Candidate], limits: Limits, now: u64) -> Vec<(BuildName, Reason)> {
    let good = |build: &&Candidate| build.state > State::Archived && !build.bad;
    let newest_good = builds.iter().filter(good).map(|build| build.created).max();
    let mut places: Vec<&Candidate> = builds.iter().filter(|build| good(build) && safe(build).is_none()).collect();
    places.sort_unstable_by_key(|build| (std::cmp::Reverse(build.created), build.name));
    let place = |build: &Candidate| places.iter().position(|other| other.name == build.name).unwrap_or(usize::MAX);

    let reason = |build: &Candidate| {
        let age = Age { seconds: now.saturating_sub(build.created) };
        let look = limits.older_than.unwrap_or(Age { seconds: LOOK });
        match safe(build) {
            Some(reason) => reason,
            None if build.bad && newest_good.is_none_or(|good| good <= build.created) => Reason::BadAndNew,
            None if build.bad && age < look => Reason::BadAndYoung(look),
            None if build.bad => Reason::Bad,
            None if place(build) < limits.keep => Reason::Kept(limits.keep),
            None => match limits.older_than.filter(|&limit| age < limit) {
                Some(limit) => Reason::Young(limit),
                None => Reason::Beyond(limits.keep),
            },
        }
    };
    let mut verdicts: Vec<(&Candidate, Reason)> = builds.iter().map(|build| (build, reason(build))).collect();
    let order = |(build, reason): &(&Candidate, Reason)| match reason.goes() {
        true => (0, build.created, build.name),
        false => (1, 0, build.name),
    };
    verdicts.sort_by_key(order);
    verdicts.into_iter().map(|(build, reason)| (build.name, reason)).collect()
}

/// Why a build is out of the question, whatever its age.
fn safe(build: &Candidate) -> Option<Reason> {
    match build {
        Candidate { foreign: true, name, .. } => Some(Reason::Foreign(*name)),
        Candidate { role: Some(role), .. } => Some(Reason::Role(*role)),
        Candidate { canary: true, .. } => Some(Reason::Canary),
        Candidate { busy: true, .. } => Some(Reason::Busy),
        // One that a deploy has given up is as bad as any other.
        Candidate { state: State::Incomplete, bad: false, name, .. } => Some(Reason::Incomplete(*name)),
        Candidate { state: State::Archived, name, .. } => Some(Reason::Archived(*name)),
        Candidate { target: true, bad: false, .. } => Some(Reason::Target),
        _ => None,
    }
}

impl Reason {
    /// Whether it is a reason to go.
    pub fn goes(self) -> bool {
        matches!(self, Self::Beyond(_) | Self::Bad)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(Role::Live) => write!(f, "live"),
            Self::Role(Role::Stage) => write!(f, "staged"),
            Self::Canary => write!(f, "a canary, or requests of it go to one"),
            Self::Target => write!(f, "a rollback goes to it"),
            Self::Busy => write!(f, "a command works on it"),
            Self::Incomplete(name) => {
                write!(f, "incomplete: builds create {name} continues it, builds rm {name} removes it")
            }
            Self::Archived(name) => write!(f, "archived: only builds rm {name} removes it"),
            Self::Foreign(name) => write!(f, "not made by builds: look into builds/{name} and move it away"),
            Self::Kept(1) => write!(f, "the youngest, and 1 is kept"),
            Self::Kept(keep) => write!(f, "one of the {keep} youngest"),
            Self::Young(age) => write!(f, "younger than {age}"),
            Self::BadAndNew => write!(f, "bad, and no good build is younger"),
            Self::BadAndYoung(age) => write!(f, "bad, and younger than {age}: look at its logs"),
            Self::Beyond(0) => write!(f, "none is kept"),
            Self::Beyond(1) => write!(f, "1 younger one is kept"),
            Self::Beyond(keep) => write!(f, "{keep} younger ones are kept"),
            Self::Bad => write!(f, "bad, and there is a younger good one"),
        }
    }
}

/// The units of an [`Age`] in seconds, and their letters.
const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS.iter().find(|(_, letter)| text.ends_with(*letter));
        let seconds = unit.and_then(|(seconds, letter)| {
            let number =
                text.strip_suffix(*letter).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
            number.parse::<u64>().ok()?.checked_mul(*seconds)
        });
        seconds.map(|seconds| Self { seconds }).ok_or_else(|| "write a number and d, h, m or s, as in 14d".into())
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(seconds, _): &&(u64, char)| self.seconds > 0 && self.seconds.is_multiple_of(*seconds);
        let (seconds, letter) = UNITS.iter().find(whole).unwrap_or(&UNITS[3]);
        write!(f, "{}{letter}", self.seconds / seconds)
    }
}

#[cfg(test)]
mod tests;
