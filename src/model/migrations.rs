//! Database migrations that a build brings, and what they mean for the builds that do not know them.
//!
//! Which operation is additive and which is destructive is told by `steps/migrations/judge.py`, with Django at hand.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::name::BuildName;
use super::observed::{Build, Names, State};

/// What a build's Python tells of its migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Whether the build is one of Django at all.
    pub django: bool,
    /// The last migration of each app, `app.name`.
    #[serde(default)]
    pub leaves: Vec<String>,
    /// All migrations that come with the build.
    #[serde(default)]
    pub known: Vec<String>,
    /// Those that its databases lacked when it was asked, in the order in which they are applied.
    #[serde(default)]
    pub unapplied: Vec<Migration>,
    /// Those of them that it has applied: database and migration.
    #[serde(default)]
    pub applied: Vec<(String, String)>,
    /// Those that it was asked to judge, as far as they were applied before.
    #[serde(default)]
    pub earlier: Vec<Migration>,
    /// What kept it from telling or applying more.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// What went wrong in a build's Python.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// What kind of thing.
    pub kind: Kind,
    /// With which database.
    pub database: String,
    /// What Django or the database says.
    pub text: String,
}

/// What can go wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The settings name no such database.
    Unknown,
    /// It cannot be reached, or does not let us in.
    Database,
    /// The migrations do not follow from each other, or from what was applied.
    History,
    /// Somebody migrates it for too long.
    Locked,
    /// A migration failed.
    Failed,
}

/// A migration that a database lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The database, as the settings name it.
    pub database: String,
    /// The migration, `app.name`.
    pub migration: String,
    /// What it does to the database.
    pub operations: Vec<Operation>,
}

/// One operation of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Django's name of its kind, such as `AddField`.
    pub op: String,
    /// The model, where it is about one.
    pub model: Option<String>,
    /// The field, index or constraint, where it is about one.
    pub field: Option<String>,
    /// What Django says that it does.
    pub describe: String,
    /// Whether older code goes on.
    pub class: Class,
    /// Why it does not.
    pub why: Option<String>,
}

/// Whether code that does not know a migration goes on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// It does.
    Additive,
    /// Its queries may fail, or it misses data.
    Destructive,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Additive => "additive",
            Self::Destructive => "destructive",
        })
    }
}

impl Migration {
    /// That of its worst operation.
    pub fn class(&self) -> Class {
        let destructive = self.operations.iter().any(|operation| operation.class == Class::Destructive);
        if destructive { Class::Destructive } else { Class::Additive }
    }

    /// The migration and, indented, what is said of each of its operations.
    fn lines(&self) -> Vec<String> {
        let of = |operation: &Operation| match &operation.why {
            Some(why) => format!("  {}: {why}", operation.describe),
            None => format!("  {}", operation.describe),
        };
        let head = format!("{} {} {}", self.database, self.migration, self.class());
        std::iter::once(head).chain(self.operations.iter().map(of)).collect()
    }
}

/// Migrations for people, with their operations.
pub fn table(migrations: &[Migration]) -> String {
    migrations.iter().flat_map(Migration::lines).map(|line| line + "\n").collect()
}

/// What `build.json` keeps of a build's migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The last migration of each app, `app.name`.
    pub leaves: Vec<String>,
    /// All migrations that come with the build.
    pub known: Vec<String>,
    /// Those that were applied for it.
    #[serde(default)]
    pub applied: Vec<Applied>,
}

/// A migration that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// To which database.
    pub database: String,
    /// Which, `app.name`.
    pub migration: String,
    /// What it did to code that does not know it.
    pub class: Class,
    /// When, in seconds since 1970.
    pub at: u64,
}

impl Record {
    /// What is known of a build after an answer at `at`, in seconds since 1970; `before` is what was.
    pub fn after(before: Option<Self>, answer: &Answer, at: u64) -> Self {
        let new = answer.newly_applied().map(|one| Applied {
            database: one.database.clone(),
            migration: one.migration.clone(),
            class: one.class(),
            at,
        });
        let applied = before.map(|before| before.applied).unwrap_or_default().into_iter().chain(new).collect();
        Self { leaves: answer.leaves.clone(), known: answer.known.clone(), applied }
    }
}

impl Answer {
    /// Those of the migrations that the databases lacked that they have now.
    pub fn newly_applied(&self) -> impl Iterator<Item = &Migration> {
        let applied = |one: &&Migration| {
            self.applied.iter().any(|(database, name)| *database == one.database && *name == one.migration)
        };
        self.unapplied.iter().filter(applied)
    }
}

/// Whether a build can be live again on databases that were migrated for others.
///
/// Where nobody has asked the build for its migrations, it does not know what was applied after it was made.
///
/// # Errors
/// Something destructive was applied that its code does not know.
pub fn may_return(target: &Manifest, others: &[Manifest]) -> Result<(), Stop> {
    let unknown = |one: &Applied| match &target.migrations {
        Some(own) => !own.known.contains(&one.migration),
        None => one.at >= target.created,
    };
    let of = |made: &Manifest| {
        let applied = made.migrations.iter().flat_map(|record| &record.applied);
        let lost = applied.filter(|one| one.class == Class::Destructive && unknown(one));
        lost.map(|one| (made.name, one.migration.clone())).collect::<Vec<_>>()
    };
    let migrations: Vec<_> = others.iter().filter(|made| made.name != target.name).flat_map(of).collect();
    match migrations.is_empty() {
        true => Ok(()),
        false => Err(Stop::Lost { name: target.name, migrations }),
    }
}

/// The migrations that the code of the live build brings and that of `target` does not, and of which no build tells that they
/// were applied: somebody may have done so by hand, or for a build that is gone.
pub fn unrecorded(target: &Manifest, live: &Manifest, others: &[Manifest]) -> Vec<String> {
    let (Some(own), Some(new)) = (&target.migrations, &live.migrations) else { return Vec::new() };
    let records = others.iter().filter_map(|made| made.migrations.as_ref());
    let told = records.flat_map(|record| &record.applied).map(|one| &one.migration);
    let accounted: HashSet<&String> = own.known.iter().chain(told).collect();
    new.known.iter().filter(|name| !accounted.contains(name)).cloned().collect()
}

/// Whether a build can be live again though `migrations` were applied for build `live`, which it does not know.
///
/// # Errors
/// One of them is destructive.
pub fn survives(target: BuildName, live: BuildName, migrations: &[Migration]) -> Result<(), Stop> {
    let destructive = migrations.iter().filter(|one| one.class() == Class::Destructive);
    let migrations: Vec<_> = destructive.map(|one| (live, one.migration.clone())).collect();
    if migrations.is_empty() { Ok(()) } else { Err(Stop::Lost { name: target, migrations }) }
}

/// Why a build's migrations stop a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Some are destructive, and older code is in use.
    Destructive {
        /// The build that brings them.
        name: BuildName,
        /// The builds with older code.
        users: Vec<BuildName>,
        /// All that the databases lack.
        migrations: Vec<Migration>,
    },
    /// A build that was live before does not know what was done to the databases since.
    Lost {
        /// The build.
        name: BuildName,
        /// The destructive migrations, each with the build for which it was applied.
        migrations: Vec<(BuildName, String)>,
    },
    /// Nobody has said that a deploy applies them.
    Unapplied {
        /// The build that brings them.
        name: BuildName,
        /// All that the databases lack.
        migrations: Vec<Migration>,
    },
}

/// Whether what the databases lack for a build may be applied while other builds are in use; `allow` is the operator's
/// word that they survive it, or need not.
///
/// # Errors
/// An operation is destructive.
pub fn may_apply(name: BuildName, migrations: &[Migration], users: Vec<BuildName>, allow: bool) -> Result<(), Stop> {
    let destructive = migrations.iter().any(|migration| migration.class() == Class::Destructive);
    if allow || users.is_empty() || !destructive {
        return Ok(());
    }
    Err(Stop::Destructive { name, users, migrations: migrations.to_vec() })
}

/// Whether a deploy that does not migrate may go on.
///
/// # Errors
/// The databases lack what the new build expects.
pub fn may_go_on(name: BuildName, migrations: &[Migration]) -> Result<(), Stop> {
    match migrations {
        [] => Ok(()),
        _ => Err(Stop::Unapplied { name, migrations: migrations.to_vec() }),
    }
}

/// The other builds that a migration of a build must not break: live, stage, what a rollback would go to, and whatever else
/// has workers. A bad build may break, unless it is live.
pub fn users(name: BuildName, names: &Names, back: Option<BuildName>, builds: &[Build]) -> Vec<BuildName> {
    let good = |build: &Build| build.manifest.as_ref().is_some_and(|manifest| manifest.bad.is_none());
    let used = |build: &&Build| {
        let asked = names.role(build.name).is_some() || build.state() >= State::Active || back == Some(build.name);
        names.live == Some(build.name) || (asked && good(build))
    };
    builds.iter().filter(|build| build.name != name).filter(used).map(|build| build.name).collect()
}

impl Stop {
    /// What was refused.
    pub fn what(&self) -> String {
        match self {
            Self::Destructive { name, .. } => format!("build {name} brings destructive migrations"),
            Self::Unapplied { name, .. } => format!("build {name} brings migrations that are not applied"),
            Self::Lost { name, .. } => format!("build {name} does not know the databases any more"),
        }
    }

    /// Why, with all migrations.
    pub fn cause(&self) -> String {
        let (why, migrations) = match self {
            Self::Destructive { users, migrations, .. } => {
                let users = users.iter().map(BuildName::to_string).collect::<Vec<_>>().join(", ");
                (format!("nothing is applied, as older code is in use: {users}"), migrations)
            }
            Self::Unapplied { migrations, .. } => {
                ("its code expects them, and migrate.run is false in builds.toml".to_owned(), migrations)
            }
            Self::Lost { migrations, .. } => {
                let since = |(build, migration): &(BuildName, String)| format!("{migration}, for {build}");
                let since = migrations.iter().map(since).collect::<Vec<_>>().join("; ");
                return format!("destructive migrations were applied since it was made: {since}");
            }
        };
        format!("{why}\n{}", table(migrations).trim_end())
    }

    /// What to type next.
    pub fn next(&self) -> String {
        match self {
            Self::Destructive { name, .. } => format!(
                "deploy in two steps, first code that does without what goes; or builds migrate {name} --allow-destructive, if the code in use does already"
            ),
            Self::Lost { name, .. } => format!(
                "take them back first, with builds run and manage.py migrate; or builds rollback {name} --force, if its code does without what they took away"
            ),
            Self::Unapplied { name, .. } => {
                format!("builds migrate {name}, then the same command again; or run = true in the section [migrate]")
            }
        }
    }
}

#[cfg(test)]
mod tests;
