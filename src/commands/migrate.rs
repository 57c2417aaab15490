use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::change::{self, Action};
use crate::model::manifest::Manifest;
use crate::model::migrations::{self, Answer, Class, Migration, Record};
use crate::model::name::BuildName;
use crate::model::rules::{self, Refusal};
use crate::report::Done;
use crate::site::Site;
use crate::steps;
use crate::system::files;

/// Which build, and how far.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds migrate c")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
    /// Also what code that is in use may not survive
    #[arg(long)]
    allow_destructive: bool,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let applied = apply(&site, name, arguments.allow_destructive)?;
    let text = match applied.len() {
        0 => format!("build {name} brings no migration that is not applied"),
        _ => format!("build {name} has migrated the database: {}", counted(&applied)),
    };
    Ok(Done::changed(!applied.is_empty(), text).with("build", name).with("migrations", applied))
}

/// What the databases lack for a build.
///
/// # Errors
/// The build is not whole, or as [`steps::migrations::look`].
pub fn check(site: &Site, name: BuildName) -> Result<Answer> {
    steps::migrations::look(site, &whole(site, name)?)
}

/// Applies what the databases lack for a build, under the lock of the site's migrations, and returns it. The caller holds
/// the build's lock.
///
/// # Errors
/// Something is destructive while older code is in use and `allow_destructive` does not say that it may: nothing is applied
/// then. Or a database cannot be reached, or a migration fails: what was applied before it stays.
pub fn apply(site: &Site, name: BuildName, allow_destructive: bool) -> Result<Vec<Migration>> {
    site.noting(Action::Migrate, name, |deed| {
        let made = whole(site, name)?;
        let _lock = site.lock_migrations()?;
        let users = users(site, name)?;
        let answer = steps::migrations::apply(site, &made, allow_destructive || users.is_empty())?;
        let applied: Vec<Migration> = answer.newly_applied().cloned().collect();
        record(site, made, &answer)?;
        for migration in &applied {
            tracing::info!("migrate  {} {} ({})", migration.database, migration.migration, migration.class());
        }
        steps::migrations::failed(site, name, &answer)?;
        migrations::may_apply(name, &answer.unapplied, users, allow_destructive)
            .map_err(|stop| Error::Migrations(Box::new(stop)))?;
        deed.changed(!applied.is_empty());
        let names: Vec<&str> = applied.iter().map(|migration| migration.migration.as_str()).collect();
        deed.reason(&change::reason(&names.join(", "), ""));
        Ok(applied)
    })
}

/// What a deploy does about migrations before the swap: with `migrate.run` it applies them as [`apply`], otherwise there must
/// be none. The caller holds the build's lock. What was seen in the same deploy need not be looked at again.
///
/// # Errors
/// As [`apply`]; or some are not applied.
pub fn before_swap(
    site: &Site,
    name: BuildName,
    allow_destructive: bool,
    seen: Option<Answer>,
) -> Result<Vec<Migration>> {
    let complete = seen.as_ref().is_some_and(|answer| answer.unapplied.is_empty());
    if site.config.migrate.run && !complete {
        return apply(site, name, allow_destructive);
    }
    let made = whole(site, name)?;
    let answer = seen.map_or_else(|| steps::migrations::look(site, &made), Ok)?;
    record(site, made, &answer)?;
    migrations::may_go_on(name, &answer.unapplied).map_err(|stop| Error::Migrations(Box::new(stop)))?;
    Ok(Vec::new())
}

/// Whether a build can be live again on databases that were migrated for others.
///
/// # Errors
/// Something destructive was applied that its code does not know.
pub fn may_return(site: &Site, name: BuildName) -> Result<()> {
    let Some(target) = site.manifest(name)? else { return Ok(()) };
    // What cannot be read of others is no reason to stay with a bad build.
    let others: Vec<Manifest> = site.builds()?.into_iter().filter_map(|name| site.manifest(name).ok()?).collect();
    let stop = |stop| Error::Migrations(Box::new(stop));
    migrations::may_return(&target, &others).map_err(stop)?;
    let live = site.links().live;
    let Some(live) = others.iter().find(|made| Some(made.name) == live) else { return Ok(()) };
    let unrecorded = migrations::unrecorded(&target, live, &others);
    if unrecorded.is_empty() {
        return Ok(());
    }
    match steps::migrations::earlier(site, live, &unrecorded) {
        Ok(applied) => migrations::survives(name, live.name, &applied).map_err(stop),
        Err(error @ Error::Interrupted { .. }) => Err(error),
        // It may be so bad that it cannot answer.
        Err(error) => {
            let names = unrecorded.join(", ");
            tracing::warn!(
                "whether {name} survives {names}, which {} brings, nobody tells: {}",
                live.name,
                error.what()
            );
            Ok(())
        }
    }
}

/// The other builds that a migration must not break.
fn users(site: &Site, name: BuildName) -> Result<Vec<BuildName>> {
    let names = site.names()?;
    let lives = site.lives()?;
    let (back, _) = lives.target(names.live, |name| site.manifest(name).ok().flatten());
    Ok(migrations::users(name, &names, back, &site.observe_all()?))
}

/// Writes down which migrations a build has, and which of them were applied for it.
fn record(site: &Site, made: Manifest, answer: &Answer) -> Result<()> {
    // Nor is it known of what failed before it could tell.
    if !answer.django || answer.known.is_empty() {
        return Ok(());
    }
    let record = Record::after(made.migrations.clone(), answer, files::now());
    site.write_manifest(&Manifest { migrations: Some(record), ..made })
}

/// How many there are, as in "2 migrations, 1 of them destructive".
pub fn counted(migrations: &[Migration]) -> String {
    let destructive = migrations.iter().filter(|one| one.class() == Class::Destructive).count();
    match (migrations.len(), destructive) {
        (1, 0) => "1 migration".into(),
        (1, _) => "1 destructive migration".into(),
        (all, 0) => format!("{all} migrations"),
        (all, some) => format!("{all} migrations, {some} of them destructive"),
    }
}

/// The manifest of a build that is whole.
fn whole(site: &Site, name: BuildName) -> Result<Manifest> {
    let build = site.observe(name)?;
    rules::usable(name, build.state())?;
    Ok(build.manifest.ok_or(Refusal::Incomplete(name))?)
}
