use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::Cli;
use crate::error::Result;
use crate::model::config::Installer;
use crate::report::Done;
use crate::serve::emperor;
use crate::site::Site;
use crate::steps::node::install_verb;
use crate::steps::source::files_of;
use crate::steps::{ahead, limited};
use crate::system::process::Run;
use crate::system::{files, tree};

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds wheels")]
pub struct Arguments {}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let fetched = fetch(&cli.site()?)?;
    let text = format!("{} wheels in the wheelhouse, {} of them new", fetched.wheels, fetched.new);
    Ok(Done::changed(fetched.changed, text).with("wheels", fetched.wheels).with("new", fetched.new))
}

/// What a fetch brought.
pub struct Fetched {
    /// Whether the wheelhouse has changed.
    pub changed: bool,
    wheels: usize,
    new: usize,
}

/// Whether there is nothing that a create could install from. pip puts its wheels there at the end, all or none.
pub fn are_missing(site: &Site) -> bool {
    wheels(site).is_empty() || !site.layout.tools().join("bin/python").exists()
}

/// Fetches what the requirement files, `pyproject.toml` and `package.json` of the source name.
///
/// # Errors
/// A program is missing or fails, or the source cannot be read; or it is not this user's affair.
pub fn fetch(site: &Site) -> Result<Fetched> {
    emperor::check_user(site)?;
    let _lock = site.lock_stores()?;
    files::private_directory(&site.layout.logs(), 0o750)?;
    files::directory(&site.layout.wheelhouse())?;
    make_tools(site)?;

    // pip and npm write beside what they read, and nothing may be written into the source.
    let paths = site.layout.fetching();
    let copy = paths.dir();
    tree::remove_all(copy)?;
    files::directory(copy)?;
    let fetched = fetch_into_stores(site, copy);
    // pip takes what has a wheel's name for one, also what a power cut has left of it.
    let synced = files::sync_all(&site.layout.wheelhouse());
    let installed = fetched.and_then(|fetched| {
        let installed = ahead::install(site)?;
        Ok(Fetched { changed: fetched.changed || installed, ..fetched })
    });
    tree::remove_all(copy)?;
    synced.and(installed)
}

fn fetch_into_stores(site: &Site, copy: &Path) -> Result<Fetched> {
    for (source, selection) in files_of(site)? {
        tree::copy(&source, &selection, copy, &|_| {})?;
    }
    let before = wheels(site);
    fetch_wheels(site, copy)?;
    fetch_npm(site, copy)?;
    let after = wheels(site);
    let new = after.iter().filter(|wheel| !before.contains(wheel)).count();
    Ok(Fetched { changed: new > 0, wheels: after.len(), new })
}

/// The virtual environment of pip and uv, made anew for another interpreter.
fn make_tools(site: &Site) -> Result<()> {
    let (tools, interpreter) = (site.layout.tools(), &site.config.python.interpreter);
    let version = |python: &Path| Run::new(python).args(["-c", "import sys; print(sys.version)"]).output();
    let wanted = version(interpreter)?;
    if version(&tools.join("bin/python")).ok() != Some(wanted) {
        tracing::info!("wheels   virtual environment for pip and uv");
        tree::remove_all(&tools)?;
        logged(site, Run::new(interpreter).args(["-m", "venv"]).arg(&tools))?;
    }
    if site.config.python.installer == Installer::Uv && !tools.join("bin/uv").exists() {
        logged(site, pip(site).args(["install", "uv"]))?;
    }
    Ok(())
}

fn fetch_wheels(site: &Site, copy: &Path) -> Result<()> {
    let configured = site.config.python.requirements.clone();
    let requirements = configured.unwrap_or_else(|| vec![PathBuf::from("requirements.txt")]);
    let requirements: Vec<PathBuf> = requirements.into_iter().filter(|file| copy.join(file).is_file()).collect();
    if requirements.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = requirements.iter().map(|file| file.to_string_lossy()).collect();
    tracing::info!("wheels   packages of {}", named.join(", "));
    let wheel = || {
        pip(site)
            .args(["wheel", "--no-cache-dir", "--find-links"])
            .arg(site.layout.wheelhouse())
            .arg("-w")
            .arg(site.layout.wheelhouse())
    };
    let fetch = requirements.iter().fold(wheel(), |fetch, file| fetch.arg("-r").arg(file));
    logged(site, fetch.directory(copy))?;
    // An editable install builds the site itself, without a network: what its build needs must be there too.
    let build = build_requirements(copy);
    if build.is_empty() { Ok(()) } else { logged(site, wheel().args(build).directory(copy)) }
}

fn fetch_npm(site: &Site, copy: &Path) -> Result<()> {
    let directory = copy.join(&site.config.node.package_dir);
    if !directory.join("package.json").is_file() {
        return Ok(());
    }
    tracing::info!("wheels   npm packages");
    files::directory(&site.layout.npm_store())?;
    let install = Run::new("npm")
        .arg(install_verb(&directory))
        .args(["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefix"])
        .arg(&directory)
        .arg("--cache")
        .arg(site.layout.npm_store());
    logged(site, install.directory(&directory))
}

fn pip(site: &Site) -> Run {
    Run::new(site.layout.tools().join("bin/python")).args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
}

fn logged(site: &Site, run: Run) -> Result<()> {
    Ok(limited(site, run).logged(&site.layout.wheels_log())?)
}

#[derive(Deserialize)]
struct Project {
    #[serde(rename = "build-system")]
    build_system: Option<BuildSystem>,
}

#[derive(Deserialize)]
struct BuildSystem {
    #[serde(default)]
    requires: Vec<String>,
}

/// What building the source as a package needs; nothing where it is no package.
fn build_requirements(copy: &Path) -> Vec<String> {
    let text = fs::read_to_string(copy.join("pyproject.toml")).unwrap_or_default();
    let declared = toml::from_str::<Project>(&text).ok().and_then(|project| project.build_system);
    match declared {
        Some(system) if !system.requires.is_empty() => system.requires,
        // What pip assumes for a package that says nothing.
        _ if copy.join("setup.py").is_file() || !text.is_empty() => vec!["setuptools".into(), "wheel".into()],
        _ => Vec::new(),
    }
}

fn wheels(site: &Site) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(site.layout.wheelhouse()).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "whl"))
        .collect()
}
