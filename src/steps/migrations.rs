//! A build's database migrations, asked of its own Python.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::making::Making;
use super::{Note, in_build};
use crate::error::{Error, Result};
use crate::model::manifest::Manifest;
use crate::model::migrations::{Answer, Failure, Kind, Migration};
use crate::model::name::BuildName;
use crate::model::words::count;
use crate::site::Site;
use crate::system::files;
use crate::system::lock::Held;
use crate::system::process::{CommandError, Outcome, Run};

/// Finds Django's settings, the databases, what they lack, and applies it.
const RUN: &str = include_str!("migrations/run.py");

/// Tells which operations older code survives.
const JUDGE: &str = include_str!("migrations/judge.py");

/// How long a rollback waits for what the live build tells: several times as long as a large project takes to load.
const PATIENCE: Duration = Duration::from_secs(15);

/// What names the settings where there is no `manage.py`.
const SETTINGS: &str = "DJANGO_SETTINGS_MODULE";

/// Looks what the databases lack while the build is made, where somebody asked for it. Who needs to know why that did not work
/// asks again.
pub fn run(making: &Making, _: &Path) -> Result<Note> {
    let Some(lacks) = making.lacks else { return Ok(None) };
    let made = making.manifest().clone();
    match look(making.site, &made) {
        Ok(answer) => {
            let lacked = answer.unapplied.len();
            let note = format!("{} to apply", count(lacked, "migration"));
            Ok(lacks.set(answer).is_ok().then_some(note))
        }
        Err(error) => {
            tracing::debug!("not known yet: {}: {}", error.what(), error.cause());
            Ok(None)
        }
    }
}

/// Which migrations a build's databases lack. A build without Django lacks none.
///
/// # Errors
/// A database cannot be reached, the migrations contradict each other, or the settings do not load.
pub fn look(site: &Site, made: &Manifest) -> Result<Answer> {
    if !may_be_django(site, made.name) {
        return Ok(Answer::default());
    }
    let told = program(site, made, false, false, None).output().map_err(|error| not_told(made.name, error))?;
    let answer = read(made.name, &told)?;
    match &answer.failure {
        Some(failure) => Err(unhealthy(site, made.name, failure)),
        None => Ok(answer),
    }
}

/// Applies what a build's databases lack: all of it if nothing is destructive or `destructive` says so, and else nothing.
/// The caller holds the site's lock of migrations.
///
/// What was applied is in the answer beside a failure, too, of which [`failed`] makes an error.
///
/// # Errors
/// Nothing can be told of what was applied: the program did not come to its end.
pub fn apply(site: &Site, made: &Manifest, destructive: bool) -> Result<Answer> {
    if !may_be_django(site, made.name) {
        return Ok(Answer::default());
    }
    files::private_directory(&site.layout.logs(), 0o750)?;
    let into = site.layout.build(made.name).run().join("migrations.json");
    files::remove(&into)?;
    let run = program(site, made, true, destructive, Some(&into));
    run.logged(&site.layout.migrate_log()).map_err(|error| not_told(made.name, error))?;
    let told = files::read(&into)?.unwrap_or_default();
    files::remove(&into)?;
    read(made.name, told.as_bytes())
}

/// Which of `migrations` were applied to a build's databases, each judged.
///
/// # Errors
/// As [`look`]; or it takes longer than whoever waits for a rollback should.
pub fn earlier(site: &Site, made: &Manifest, migrations: &[String]) -> Result<Vec<Migration>> {
    let wish = json!({ "databases": site.config.migrate.databases, "judge": migrations, "apply": false, "into": null });
    let told = python(site, made, &wish).patience(PATIENCE).output().map_err(|error| not_told(made.name, error))?;
    let answer = read(made.name, &told)?;
    failed(site, made.name, &answer)?;
    Ok(answer.earlier)
}

/// What is wrong with an answer, if something is.
///
/// # Errors
/// That.
pub fn failed(site: &Site, name: BuildName, answer: &Answer) -> Result<()> {
    answer.failure.as_ref().map_or(Ok(()), |failure| Err(unhealthy(site, name, failure)))
}

/// Python takes its time to start, and most sites without Django can be told from their files.
fn may_be_django(site: &Site, name: BuildName) -> bool {
    site.layout.build(name).dir().join("manage.py").is_file() || site.config.env.contains_key(SETTINGS)
}

fn program(site: &Site, made: &Manifest, apply: bool, destructive: bool, into: Option<&Path>) -> Run {
    let wish = json!({
        "databases": site.config.migrate.databases,
        "apply": apply,
        "destructive": destructive,
        "judge": null,
        "wait": site.patience().as_secs_f64(),
        "into": into,
    });
    python(site, made, &wish)
}

fn python(site: &Site, made: &Manifest, wish: &Value) -> Run {
    let argv = ["python", "-c", RUN, JUDGE, &wish.to_string()].map(str::to_owned);
    in_build(site, made.name, &made.tag, &argv)
}

fn read(name: BuildName, told: &[u8]) -> Result<Answer> {
    serde_json::from_slice(told).map_err(|error| Error::Unhealthy {
        name,
        problem: "its Python did not tell of its migrations".into(),
        evidence: error.to_string(),
        next: by_hand(name),
    })
}

fn not_told(name: BuildName, error: CommandError) -> Error {
    match error.outcome {
        Outcome::Failed(_) => Error::Unhealthy {
            name,
            problem: "its migrations cannot be loaded".into(),
            evidence: error.tail,
            next: by_hand(name),
        },
        _ => error.into(),
    }
}

fn unhealthy(site: &Site, name: BuildName, failure: &Failure) -> Error {
    let database = &failure.database;
    let (problem, next) = match failure.kind {
        Kind::Locked => {
            let holder = "another command or host, by the lock of the PostgreSQL database".to_owned();
            let what = format!("the migration of database {database:?}");
            return Held { what, holder, waited: site.patience() }.into();
        }
        Kind::Unknown => (
            format!("its settings have no database {database:?}, but these: {}", failure.text),
            "correct databases in the section [migrate] of builds.toml".into(),
        ),
        Kind::Database => (format!("its database {database:?} does not answer"), by_hand(name)),
        Kind::History => (format!("its migrations do not fit database {database:?}"), by_hand(name)),
        Kind::Failed => (
            format!("a migration of database {database:?} failed"),
            format!(
                "mend it; all of the output is in {}; builds migrate {name} tries again",
                site.layout.migrate_log().display()
            ),
        ),
    };
    let evidence =
        if failure.kind == Kind::Unknown { "migrate.databases names it".into() } else { failure.text.clone() };
    Error::Unhealthy { name, problem, evidence, next }
}

fn by_hand(name: BuildName) -> String {
    format!("builds run {name} -- python manage.py showmigrations looks at the same")
}
