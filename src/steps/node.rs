//! npm packages, from the local store alone; those of an earlier build where nothing has changed. Scripts that packages run
//! when they are installed run in each build.

use std::fs;
use std::path::{Path, PathBuf};

use super::store::{Record, Store, TREE};
use super::{Making, Note};
use crate::error::Result;
use crate::model::digest::{Digest, Inputs};
use crate::model::manifest::Package;
use crate::model::npm::{self, Reuse};
use crate::model::words::count;
use crate::system::process::{self, Run};
use crate::system::{files, tree};

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    // That of an interrupted create may be of other packages.
    making.manifest().digests.remove("node");
    let directory = making.paths.dir().join(&making.site.config.node.package_dir);
    let Some(project) = files::read(&directory.join("package.json"))? else { return Ok(None) };
    let lock = lock_file(&directory).map(|file| files::read(&directory.join(file))).transpose()?.flatten();
    let (verb, modules) = (install_verb(&directory), directory.join("node_modules"));
    let reuse = npm::reuse(&project, lock.as_deref());
    if let Reuse::Never(why) = reuse {
        if making.ahead {
            return Ok(None);
        }
        install(making, &directory, &[verb], log)?;
        note_packages(making, installed(&modules)?);
        return Ok(Some(format!("npm {verb}; not for reuse, as {why}")));
    }

    let scripts = reuse == Reuse::Scripts;
    let command: &[&str] = if scripts { &[verb, "--ignore-scripts"] } else { &[verb] };
    let (store, inputs) = (Store::open(making.site, "node")?, inputs(&directory, command)?);
    making.manifest().digests.insert("node".into(), inputs.key());
    let found = making.reusable(|| store.find(&inputs.key()));
    if found.is_some() && making.ahead {
        return Ok(Some("installed before".into()));
    }
    let note = if let Some(entry) = found
        && let Some(shared) = store.give(&entry, &modules)?
    {
        making.count(shared);
        if entry.record.sealed {
            making.measured(&modules, entry.record.bytes);
        }
        let note = format!("{}, reused", count(entry.record.packages.len(), "package"));
        note_packages(making, entry.record.packages);
        note
    } else {
        let why = making.because(&store, &inputs)?;
        install(making, &directory, command, log)?;
        let packages = installed(&modules)?;
        if !scripts {
            tree::seal(&modules)?;
        }
        note_packages(making, packages.clone());
        let note = format!("npm {verb}, {}, {why}", count(packages.len(), "package"));
        let bytes = store.clone(&modules, &store.begin(&making.maker)?.join(TREE), !scripts)?.bytes;
        making.made(&store, &Record { inputs, packages, sealed: !scripts, bytes }, &modules)?;
        note
    };
    if scripts && !making.ahead { run_scripts(making, &directory, verb, note, log) } else { Ok(Some(note)) }
}

/// Runs the scripts of the packages, which read and write what they like.
fn run_scripts(making: &Making, directory: &Path, verb: &str, note: String, log: &Path) -> Result<Note> {
    if npm(making, directory, &["rebuild"], log).is_ok() {
        return Ok(Some(format!("{note}, and their scripts")));
    }
    // npm gives up a package that nobody needs where its script fails; but not when it only runs scripts.
    making.manifest().digests.remove("node");
    install(making, directory, &[verb], log)?;
    note_packages(making, installed(&directory.join("node_modules"))?);
    Ok(Some(format!("npm {verb}; not for reuse, as npm rebuild has failed")))
}

/// The lock files that npm knows, in the order in which it looks for them.
const LOCKS: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];

/// The lock file that npm takes in a directory.
fn lock_file(directory: &Path) -> Option<&'static str> {
    LOCKS.into_iter().find(|file| directory.join(file).is_file())
}

/// `ci` installs exactly what a lock file names; without one npm has to choose.
pub fn install_verb(directory: &Path) -> &'static str {
    if lock_file(directory).is_some() { "ci" } else { "install" }
}

fn install(making: &Making, directory: &Path, command: &[&str], log: &Path) -> Result<()> {
    npm(making, directory, &[command, &["--no-audit", "--no-fund"]].concat(), log)
}

fn npm(making: &Making, directory: &Path, command: &[&str], log: &Path) -> Result<()> {
    let npm = Run::new("npm")
        .args(command)
        .args(["--offline", "--no-update-notifier", "--prefix"])
        .arg(directory)
        .arg("--cache")
        .arg(making.site.layout.npm_store())
        .hint("builds wheels fetches what the npm store lacks");
    making.tool(npm, log)
}

fn installed(modules: &Path) -> Result<Vec<Package>> {
    Ok(files::read(&modules.join(".package-lock.json"))?.map_or_else(Vec::new, |lock| npm::packages(&lock)))
}

fn note_packages(making: &Making, packages: Vec<Package>) {
    making.manifest().npm = packages;
}

/// All that decides what npm puts into `node_modules`. The packages themselves are in the lock file, by their digests.
fn inputs(directory: &Path, command: &[&str]) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    inputs.add("builds", env!("CARGO_PKG_VERSION"));
    inputs.add("platform", std::env::consts::ARCH);
    inputs.add("npm", npm_version()?);
    let node = Run::new("node").arg("--version").output()?;
    inputs.add("node", String::from_utf8_lossy(&node).trim());
    inputs.add("command", command.join(" "));
    let own = ["package.json", ".npmrc"].into_iter().chain(LOCKS).map(|name| (name.to_owned(), directory.join(name)));
    let others = settings().into_iter().map(|path| (path.display().to_string(), path));
    for (name, path) in own.chain(others) {
        // What this user may not read, npm may not either.
        if let Ok(text) = fs::read(&path) {
            inputs.add(name, Digest::of(&text));
        }
    }
    for (key, value) in std::env::vars_os().map(|(key, value)| (key.to_string_lossy().into_owned(), value)) {
        if key == "NODE_ENV" || key.to_lowercase().starts_with("npm_config_") {
            inputs.add(key, Digest::of(value.as_encoded_bytes()));
        }
    }
    Ok(inputs)
}

/// The settings of the user and of the host, where npm looks for them.
fn settings() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".npmrc"));
    let node = process::find("node").and_then(|node| fs::canonicalize(node).ok());
    let prefix = node.as_deref().and_then(|node| node.parent()?.parent()).map(|prefix| prefix.join("etc/npmrc"));
    [home, prefix, Some("/etc/npmrc".into())].into_iter().flatten().collect()
}

/// npm needs more than half a second to tell its version, which stands beside it.
fn npm_version() -> Result<String> {
    let beside = |program: PathBuf| Some(fs::canonicalize(program).ok()?.parent()?.parent()?.join("package.json"));
    let package = process::find("npm").and_then(beside).and_then(|path| fs::read(path).ok());
    let package = package.and_then(|text| serde_json::from_slice::<Package>(&text).ok());
    match package.filter(|package| package.name == "npm") {
        Some(npm) => Ok(npm.version),
        None => {
            let version = Run::new("npm").arg("--version").output()?;
            Ok(String::from_utf8_lossy(&version).trim().to_owned())
        }
    }
}
