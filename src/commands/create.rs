use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::Args;

use super::Cli;
use super::status::bytes;
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::manifest::Manifest;
use crate::model::migrations::Answer;
use crate::model::name::BuildName;
use crate::model::observed::Build;
use crate::model::rules;
use crate::model::wish::Wish;
use crate::report::Done;
use crate::serve::emperor::{self, Emperor};
use crate::site::{Deed, Site};
use crate::steps::{self, Course};

/// What to make.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds create c --tag v2")]
pub struct Arguments {
    /// The new build's name; `builds find-free` prints one
    name: String,
    /// What to call its contents [default: what git calls the source]
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Take the files of this commit instead of those in the source directory
    #[arg(long = "ref", value_name = "REV")]
    reference: Option<String>,
    /// Make all anew, whatever earlier builds have: packages, bytecode, static files
    #[arg(long)]
    fresh: bool,
    /// Write a trace of what ran when, which Perfetto and chrome://tracing open
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let (site, name) = (cli.site()?, super::name(&arguments.name)?);
    let tag = arguments.tag.as_deref().map(str::parse).transpose()?;
    let wish = Wish { tag, reference: arguments.reference.clone(), fresh: arguments.fresh };
    // What cannot be written is better known before than after.
    let open = |path: &PathBuf| File::create(path).map_err(Error::io("write", path));
    let timings = arguments.timings.as_ref().map(open).transpose()?;
    let course = Course::begin();
    let done = create(&site, name, &wish, &course, None);
    if let Some(mut file) = timings {
        let trace = course.trace(&format!("builds create {name}"));
        if let Err(error) = writeln!(file, "{trace}") {
            tracing::warn!("no trace was written: {error}");
        }
    }
    done
}

/// Makes a build under its lock, and looks meanwhile what its databases lack, where that is to be put into `lacks`.
pub fn create(
    site: &Site,
    name: BuildName,
    wish: &Wish,
    course: &Course,
    lacks: Option<&OnceLock<Answer>>,
) -> Result<Done> {
    let port = site.port(name)?;
    emperor::check_user(site)?;
    let _lock = site.lock_build(name)?;
    site.check_ours(name)?;
    let manifest = site.noting(Action::Create, name, |deed| match may_make(site, deed, name, wish)? {
        Some(manifest) => steps::listen(site, manifest, course),
        None => steps::make(site, name, wish, course, lacks),
    })?;
    course.follow("tidy", || {
        steps::tidy(site, name);
        Ok(None)
    })?;
    let (written, shared) = (manifest.written.unwrap_or(0), manifest.shared.unwrap_or(0));
    let seconds = course.elapsed().as_secs_f64();
    tracing::info!("total    {seconds:.2} s; {} written, {} shared", bytes(written), bytes(shared));
    Ok(Done::changed(true, format!("build {name} ({}) listens on 127.0.0.1:{port}", manifest.tag))
        .with("build", name)
        .with("tag", &manifest.tag)
        .with("port", port.number())
        .with("manifest", &manifest))
}

/// Checks that a build may be made. Returns the manifest of one that lacks nothing but that it listens.
fn may_make(site: &Site, deed: &Deed, name: BuildName, wish: &Wish) -> Result<Option<Manifest>> {
    let existing = if site.is_build(name) { Some(site.observe(name)?) } else { None };
    let cut = existing.as_ref().filter(|build| build.lacks_listen()).and_then(|build| build.manifest.clone());
    let cut = cut
        .filter(|made| made.source.reference == wish.reference && wish.tag.as_ref().is_none_or(|tag| *tag == made.tag));
    if cut.is_none() {
        rules::create(name, existing.as_ref().map(Build::state))?;
    }
    if existing.is_some() {
        // What looks incomplete may be live with a damaged build.json.
        rules::spare("create", name, &site.names()?)?;
    }
    // A build that has no source, or cannot listen in the end, is not worth beginning.
    steps::source::directory(site)?;
    Emperor::Vassals.wake(site)?;
    deed.ask(|| Ok(site.links()))?;
    Ok(cut)
}
