use std::path::Path;

use clap::Args;

use super::{Cli, activate, create, warmup, wheels};
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::layout::Role;
use crate::model::manifest::Progress;
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::{Names, State};
use crate::model::skeletons;
use crate::model::tag::Tag;
use crate::model::wish::Wish;
use crate::report::Done;
use crate::serve::conf;
use crate::serve::emperor::Emperor;
use crate::serve::names::{self, Moved};
use crate::site::{CONFIG, Site};
use crate::steps::source::guess_module;
use crate::steps::{Course, in_build};
use crate::system::files::{self, Mode};

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds init")]
pub struct Arguments {}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = match cli.site() {
        Err(Error::NoConfig(directory)) => return write_config(&directory),
        site => site?,
    };
    let _init = site.lock_init()?;
    let wrote = conf::write_missing(&site)?;
    conf::check_pass(&site)?;
    let fetched = if wheels::are_missing(&site) { wheels::fetch(&site)?.changed } else { false };
    for emperor in [Emperor::Vassals, Emperor::Zergs] {
        emperor.await_start(&site)?;
    }

    let mut changed = wrote || fetched;
    let (live, stage, moved) = loop {
        if let Some(named) = name(&site, &mut changed)? {
            break named;
        }
    };
    let nginx = &site.config.nginx;
    let text =
        format!("build {live} is live on {}, build {stage} is staged on {}", nginx.live_listen, nginx.stage_listen);
    Ok(Done::changed(changed || moved.links || moved.reloaded, text)
        .with("live", live)
        .with("stage", stage)
        .with("nginx_reloaded", moved.reloaded))
}

/// Gives the names to two builds that serve, or leaves them to those that have them; `None` where somebody moved a name
/// meanwhile, so that it may be the turn of others.
fn name(site: &Site, changed: &mut bool) -> Result<Option<(BuildName, BuildName, Moved)>> {
    let before = site.names()?;
    let (live, stage) = choose(site, before)?;
    let names = Names { live: Some(live), stage: Some(stage) };
    if before != names {
        site.check_thawed()?;
    }
    for name in [live, stage] {
        *changed |= ensure(site, name)?;
    }
    if before.live.is_none() {
        run_commands(site, live)?;
    }
    for name in [live, stage] {
        *changed |= serve(site, name)
            .map_err(|error| if before.live.is_none() { afresh(error, live, stage) } else { error })?;
    }
    // In the order of the names, as every command that takes two.
    let _first = site.claim(BuildRef::Name(live.min(stage)))?;
    let _second = site.claim(BuildRef::Name(live.max(stage)))?;
    site.noting(Action::Init, live, |deed| {
        if deed.lock_names()? != before {
            deed.changed(false);
            return Ok(None);
        }
        if before != names {
            site.check_thawed()?;
        }
        let moved = names::move_to(site, before, names)?;
        deed.changed(moved.links || moved.reloaded);
        Ok(Some((live, stage, moved)))
    })
}

/// The builds that the names have, or else the first two names that are free or were begun.
fn choose(site: &Site, names: Names) -> Result<(BuildName, BuildName)> {
    let live = names.live.unwrap_or(BuildName::FIRST);
    let other = BuildName::sequence().find(|&name| name != live).unwrap_or(live);
    let stage = names.holder(Role::Stage).unwrap_or(other);
    site.port(stage)?;
    Ok((live, stage))
}

/// Creates a build unless it is there; whether it had to.
fn ensure(site: &Site, name: BuildName) -> Result<bool> {
    if site.manifest(name)?.is_some_and(|manifest| manifest.state != Progress::Creating) {
        return Ok(false);
    }
    tracing::info!("create   {name}");
    create::create(site, name, &Wish::default(), &Course::begin(), None).map(|_| true)
}

/// Runs the `[init]` commands in the build that will be live. They run again if `init` is killed before it ends.
fn run_commands(site: &Site, name: BuildName) -> Result<()> {
    let _lock = site.lock_build(name)?;
    let tag = site.manifest(name)?.map_or_else(Tag::untagged, |manifest| manifest.tag);
    for command in &site.config.init.commands {
        tracing::info!("init     {}", command.as_slice().join(" "));
        in_build(site, name, &tag, command.as_slice()).logged(&site.layout.create_log(name, "init"))?;
    }
    Ok(())
}

/// Activates and warms a build; whether it had to.
fn serve(site: &Site, name: BuildName) -> Result<bool> {
    let _lock = site.lock_build(name)?;
    let activated = activate::activate(site, name)?;
    // Warm only tells that the workers have answered, be it with errors: a build gets a name on good answers of its own.
    let cold = site.names()?.role(name).is_none() || site.observe(name)?.state() < State::Warm;
    if cold {
        warmup::warm(site, name, site.config.warmup.concurrency)?;
    }
    Ok(activated || cold)
}

/// The error of a first build that does badly: to go on would only ask the same build again.
fn afresh(error: Error, live: BuildName, stage: BuildName) -> Error {
    let again = |next: &str| {
        format!(
            "{next}; what is mended in the source needs builds anew: builds rm {live}, builds rm {stage}, builds init"
        )
    };
    match error {
        Error::Unhealthy { name, problem, evidence, next } => {
            Error::Unhealthy { name, problem, evidence, next: again(&next) }
        }
        other => other,
    }
}

/// Writes a first `builds.toml` for the project in a directory.
fn write_config(directory: &Path) -> Result<Done> {
    let module = guess_module(directory).unwrap_or_else(|_| "PACKAGE.wsgi:application".into());
    let name = skeletons::site_name(directory);
    let django = directory.join("manage.py").is_file();
    let (assets, init) = match django {
        true => (
            r#"[["python", "manage.py", "collectstatic", "--noinput"]]"#,
            r#"[["python", "manage.py", "migrate", "--noinput"]]"#,
        ),
        false => ("[]", "[]"),
    };
    let file = directory.join(CONFIG);
    // Its [env] is the place for secrets.
    files::write(&file, skeletons::example_config(&name, &module, assets, init).as_bytes(), Mode::Private)?;
    let mut text = format!(
        "wrote {}: read it, then type\n  builds up      in another terminal, to run uWSGI and nginx\n  builds init    again, to create the first two builds",
        file.display()
    );
    if django && !directory.join("requirements.txt").is_file() {
        text += "\nThere is no requirements.txt: write one, or name your own files as requirements in [python].";
    }
    Ok(Done::changed(true, text).with("config", file.to_string_lossy()))
}
