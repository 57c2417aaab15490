//! Database migrations that a build brings, and what they mean for the builds that do not know them.
//!
//! Which operation is additive and which is destructive is told by `steps/migrations/judge.py`, with Django at hand.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// The other builds that a migration of a build must not break: live and stage, of which one is what a rollback goes to,
/// and whatever else has workers.
pub fn users(name: BuildName, names: &Names, builds: &[Build]) -> Vec<BuildName> {
    let others = builds.iter().filter(|build| build.name != name);
    let used = |build: &&Build| names.role(build.name).is_some() || build.state() >= State::Active;
    others.filter(used).map(|build| build.name).collect()
}

impl Stop {
    /// What was refused.
    pub fn what(&self) -> String {
        match self {
            Self::Destructive { name, .. } => format!("build {name} brings destructive migrations"),
            Self::Unapplied { name, .. } => format!("build {name} brings migrations that are not applied"),
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
        };
        format!("{why}\n{}", table(migrations).trim_end())
    }

    /// What to type next.
    pub fn next(&self) -> String {
        match self {
            Self::Destructive { name, .. } => format!(
                "deploy in two steps, first code that does without what goes; or builds migrate {name} --allow-destructive, if the code in use does already"
            ),
            Self::Unapplied { name, .. } => {
                format!("builds migrate {name}, then the same command again; or run = true in the section [migrate]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::{Manifest, Origin, Progress};
    use crate::model::observed::Worker;

    fn build(number: u32) -> BuildName {
        BuildName::from_number(number)
    }

    fn migration(name: &str, whys: &[Option<&str>]) -> Migration {
        let operation = |why: &Option<&str>| Operation {
            op: "RunSQL".into(),
            model: None,
            field: None,
            describe: "Raw SQL operation".into(),
            class: if why.is_some() { Class::Destructive } else { Class::Additive },
            why: why.map(str::to_owned),
        };
        let operations = whys.iter().map(operation).collect();
        Migration { database: "default".into(), migration: name.into(), operations }
    }

    #[test]
    fn only_destructive_migrations_stop_and_only_while_older_code_is_in_use() {
        let additive = migration("shop.0002_note", &[None, None]);
        let destructive = migration("shop.0003_drop", &[None, Some("it may do anything")]);
        let (a, b, c) = (build(0), build(1), build(2));
        for (migrations, users, allow, refused) in [
            (vec![], vec![a], false, false),
            (vec![additive.clone()], vec![a, b], false, false),
            (vec![additive.clone(), destructive.clone()], vec![a, b], false, true),
            (vec![destructive.clone()], vec![a, b], true, false),
            (vec![destructive.clone()], vec![], false, false),
        ] {
            let judged = may_apply(c, &migrations, users.clone(), allow);
            let stop = Stop::Destructive { name: c, users, migrations };
            assert_eq!(judged, if refused { Err(stop) } else { Ok(()) });
        }
        assert_eq!(may_go_on(c, &[]), Ok(()));
        assert!(may_go_on(c, std::slice::from_ref(&additive)).is_err());
    }

    #[test]
    fn a_stop_shows_every_operation() {
        let migrations =
            vec![migration("shop.0002_note", &[None]), migration("shop.0003_drop", &[Some("it may do anything")])];
        let stop = Stop::Destructive { name: build(2), users: vec![build(0), build(1)], migrations };
        assert_eq!(stop.what(), "build c brings destructive migrations");
        assert_eq!(
            stop.cause(),
            "nothing is applied, as older code is in use: a, b\n\
             default shop.0002_note additive\n  Raw SQL operation\n\
             default shop.0003_drop destructive\n  Raw SQL operation: it may do anything"
        );
        assert!(stop.next().contains("builds migrate c --allow-destructive"));
    }

    #[test]
    fn whatever_has_a_name_or_workers_is_in_use() {
        let observed = |number, workers: Option<Vec<Worker>>| {
            let manifest =
                Manifest { state: Progress::Complete, ..Manifest::begin(build(number), 0, Origin::default()) };
            Build {
                name: build(number),
                manifest: Some(manifest),
                vassal_link: workers.is_some(),
                zerg_link: workers.is_some(),
                draining: false,
                listening: workers.is_some(),
                workers,
            }
        };
        let works = || Some(vec![Worker::default()]);
        let builds =
            [observed(0, works()), observed(1, None), observed(2, works()), observed(3, works()), observed(4, None)];
        let names = Names { live: Some(build(0)), stage: Some(build(1)) };
        assert_eq!(users(build(3), &names, &builds), [build(0), build(1), build(2)]);
        assert_eq!(users(build(0), &names, &builds), [build(1), build(2), build(3)]);
    }

    #[test]
    fn what_python_tells_is_understood() {
        let answer: Answer = serde_json::from_str(r#"{"django": false}"#).unwrap();
        assert_eq!(answer, Answer::default());
        let text = r#"{"django": true, "leaves": ["shop.0002_note"], "known": ["shop.0001_initial", "shop.0002_note"],
            "unapplied": [{"database": "default", "migration": "shop.0002_note", "operations": [{"op": "AddField",
            "model": "basket", "field": "note", "describe": "Add field note to basket", "class": "destructive",
            "why": "it"}]}], "applied": [["default", "shop.0002_note"]], "failure": {"kind": "locked", "database":
            "default", "text": ""}}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        assert_eq!(answer.unapplied[0].class(), Class::Destructive);
        assert_eq!(answer.failure.unwrap().kind, Kind::Locked);
        assert_eq!(answer.applied, [("default".to_owned(), "shop.0002_note".to_owned())]);
    }
}
