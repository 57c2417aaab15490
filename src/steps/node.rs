//! npm packages, from the local store alone; those of an earlier build where nothing has changed.

use std::fs;
use std::path::{Path, PathBuf};

use super::store::{Record, Store, TREE};
use super::{Making, Note, counted};
use crate::error::Result;
use crate::model::digest::{Digest, Inputs};
use crate::model::manifest::Package;
use crate::model::npm::{self, Reuse};
use crate::system::process::{self, Run};
use crate::system::{files, tree};

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    // That of an interrupted create may be of other packages.
    making.manifest().digests.remove("node");
    let directory = making.paths.dir().join(&making.site.config.node.package_dir);
    let Some(project) = files::read(&directory.join("package.json"))? else { return Ok(None) };
    let lock = files::read(&directory.join("package-lock.json"))?;
    let (verb, modules) = (install_verb(lock.is_some()), directory.join("node_modules"));
    let reuse = npm::reuse(&project, lock.as_deref());
    if let Reuse::Never(why) = reuse {
        if making.ahead {
            return Ok(None);
        }
        install(making, &directory, verb, log)?;
        note_packages(making, installed(&modules)?);
        return Ok(Some(format!("npm {verb}; not for reuse, as {why}")));
    }

    let (store, inputs) = (Store::open(making.site, "node")?, inputs(&directory, verb)?);
    making.manifest().digests.insert("node".into(), inputs.key());
    let found = making.reusable(|| store.find(&inputs.key()));
    if found.is_some() && making.ahead {
        return Ok(Some("installed before".into()));
    }
    if let Some(entry) = found
        && let Some(shared) = store.give(&entry, &modules)?
    {
        making.count(shared);
        making.measured(&modules, entry.record.bytes);
        let note = format!("{}, reused", counted(entry.record.packages.len()));
        note_packages(making, entry.record.packages);
        return Ok(Some(note));
    }
    let why = making.because(&store, &inputs)?;
    install(making, &directory, verb, log)?;
    let (packages, sealed) = (installed(&modules)?, reuse == Reuse::Sealed);
    if sealed {
        tree::seal(&modules)?;
    }
    note_packages(making, packages.clone());
    let note = format!("npm {verb}, {}, {why}", counted(packages.len()));
    let bytes = store.clone(&modules, &store.begin(&making.maker)?.join(TREE), sealed)?.bytes;
    making.made(&store, &Record { inputs, packages, sealed, bytes }, &modules)?;
    Ok(Some(note))
}

/// `ci` installs exactly what a lock file names; without one npm has to choose.
pub fn install_verb(locked: bool) -> &'static str {
    if locked { "ci" } else { "install" }
}

fn install(making: &Making, directory: &Path, verb: &str, log: &Path) -> Result<()> {
    let install = Run::new("npm")
        .args([verb, "--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--prefix"])
        .arg(directory)
        .arg("--cache")
        .arg(making.site.layout.npm_store())
        .hint("builds wheels fetches what the npm store lacks");
    making.tool(install, log)
}

fn installed(modules: &Path) -> Result<Vec<Package>> {
    Ok(files::read(&modules.join(".package-lock.json"))?.map_or_else(Vec::new, |lock| npm::packages(&lock)))
}

fn note_packages(making: &Making, packages: Vec<Package>) {
    making.manifest().npm = packages;
}

/// All that decides what npm puts into `node_modules`. The packages themselves are in the lock file, by their digests.
fn inputs(directory: &Path, verb: &str) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    inputs.add("builds", env!("CARGO_PKG_VERSION"));
    inputs.add("platform", std::env::consts::ARCH);
    inputs.add("npm", npm_version()?);
    let node = Run::new("node").arg("--version").output()?;
    inputs.add("node", String::from_utf8_lossy(&node).trim());
    inputs.add("command", verb);
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        let path = directory.join(name);
        if let Some(text) = files::read(&path)? {
            inputs.add(name, Digest::of(text.as_bytes()));
        }
    }
    for (key, value) in std::env::vars_os().map(|(key, value)| (key.to_string_lossy().into_owned(), value)) {
        if key == "NODE_ENV" || key.to_lowercase().starts_with("npm_config_") {
            inputs.add(key, Digest::of(value.as_encoded_bytes()));
        }
    }
    Ok(inputs)
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
