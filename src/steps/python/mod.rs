//! The virtual environment and the packages of the requirement files, from the wheelhouse alone; those of an earlier
//! build where nothing has changed, and of the others what has not.

mod inputs;
mod packages;
mod venv;

use std::path::{Path, PathBuf};
use std::thread;

use super::store::{self, Record, Store, TREE};
use super::{Making, Note, bytecode};
use crate::error::{Error, Result};
use crate::model::config::Installer;
use crate::model::digest::Inputs;
use crate::model::manifest::Package;
use crate::model::requirements::Requirements;
use crate::model::words::count;
use crate::system::process::Run;
use crate::system::{files, tree};
use packages::Packages;
use venv::Venv;

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    // That of an interrupted create may be of other packages.
    making.manifest().digests.remove("python");
    let files = files(making)?;
    let read = |file: &Path| files::read(&making.paths.dir().join(file));
    let requirements = Requirements::read(&files, read)?;
    let never = not_for_reuse(making, &requirements);
    let (venv, wheels) = thread::scope(|scope| {
        // Python makes the environment meanwhile.
        let wheels = (never.is_none() && !files.is_empty()).then(|| scope.spawn(|| inputs::wheels(making.site)));
        let venv = Venv::make(making);
        (venv, wheels.map(|wheels| wheels.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    });
    let venv = venv?;
    making.manifest().python = Some(venv.version.clone());
    if files.is_empty() {
        return Ok(Some(format!("Python {}, no requirements", venv.version)));
    }
    let (packages, note) = match (never, wheels) {
        (None, Some(wheels)) => {
            let inputs = inputs::of(making.site, &venv, &requirements, wheels?);
            reusing(making, &venv, &files, inputs, log)?
        }
        (Some(_), _) if making.ahead => return Ok(None),
        (why, _) => {
            let packages = alone(making, &venv, &files, log)?;
            let note = format!("{}; not for reuse, as {}", count(packages.len(), "package"), why.unwrap_or_default());
            (packages, note)
        }
    };
    let note = format!("Python {}, {note}", venv.version);
    let uwsgi = packages.iter().find(|package| package.name.eq_ignore_ascii_case("pyuwsgi"));
    let mut manifest = making.manifest();
    manifest.uwsgi = uwsgi.map(|package| package.version.clone()).or(manifest.uwsgi.take());
    manifest.wheels = packages;
    Ok(Some(note))
}

/// Why the packages of another build may not be these although all that is known of them is the same.
fn not_for_reuse(making: &Making, requirements: &Requirements) -> Option<String> {
    match (&requirements.own, making.site.config.python.installer) {
        (_, Installer::Pip) => Some("python.installer is pip".into()),
        (Some((file, line)), _) => Some(format!("{} names {line}", file.display())),
        (None, Installer::Uv) => None,
    }
}

/// Installs into the build without a look at other builds.
fn alone(making: &Making, venv: &Venv, files: &[PathBuf], log: &Path) -> Result<Vec<Package>> {
    install(making, files, log)?;
    bytecode::compile(making, &venv.packages, None, log)?;
    tree::seal(&venv.packages)?;
    Ok(Packages::of(venv)?.list)
}

/// Takes the packages of an earlier build, all or those that are the same, and lets later builds find these.
fn reusing(
    making: &Making,
    venv: &Venv,
    files: &[PathBuf],
    inputs: Inputs,
    log: &Path,
) -> Result<(Vec<Package>, String)> {
    let store = Store::open(making.site, "python")?;
    making.manifest().digests.insert("python".into(), inputs.key());
    if let Some(entry) = making.reusable(|| store.find(&inputs.key())) {
        if making.ahead {
            return Ok((entry.record.packages, "installed before".into()));
        }
        if let Some(shared) = store.give(&entry, &venv.packages)? {
            making.count(shared);
            making.measured(&venv.packages, entry.record.bytes);
            store::put_all(&entry.tree("others"), venv.directory)?;
            let note = format!("{}, reused", count(entry.record.packages.len(), "package"));
            return Ok((entry.record.packages, note));
        }
        files::directory(&venv.packages)?;
    }
    let why = making.because(&store, &inputs)?;
    let latest = if making.fresh { None } else { store.latest()? };
    let mut basis = latest.filter(|entry| inputs::serves(&inputs, &entry.record.inputs));
    if let Some(entry) = &basis {
        tree::remove_all(&venv.packages)?;
        match store.take(entry, TREE, &venv.packages)? {
            Some(shared) => {
                making.count(shared);
                store::put_all(&entry.tree("others"), venv.directory)?;
            }
            None => {
                files::directory(&venv.packages)?;
                basis = None;
            }
        }
    }
    install(making, files, log)?;
    bytecode::compile(making, &venv.packages, None, log)?;
    tree::seal(&venv.packages)?;

    let Packages { list: packages, others } = Packages::of(venv)?;
    let all = packages.len();
    let note = basis.map_or_else(
        || format!("{}, {why}", count(all, "package")),
        |basis| {
            let new = packages.iter().filter(|package| !basis.record.packages.contains(package)).count();
            format!("{why}: {new} of {all} wheels")
        },
    );
    let directory = store.begin(&making.maker)?;
    let bytes = store.clone(&venv.packages, &directory.join(TREE), true)?.bytes;
    store::put(&others, venv.directory, &directory.join("others"))?;
    let record = Record { inputs, packages, sealed: true, bytes };
    making.made(&store, &record, &venv.packages)?;
    Ok((record.packages, note))
}

/// The requirement files of the build: those of the configuration, or `requirements.txt` if there is one.
fn files(making: &Making) -> Result<Vec<PathBuf>> {
    let usual = || vec![PathBuf::from("requirements.txt")];
    let configured = making.site.config.python.requirements.clone();
    let optional = configured.is_none();
    let mut files = configured.unwrap_or_else(usual);
    for file in &files {
        let path = making.paths.dir().join(file);
        if !optional && !path.is_file() {
            return Err(Error::Absent { place: making.site.config.place("python.requirements"), path });
        }
    }
    files.retain(|file| making.paths.dir().join(file).is_file());
    Ok(files)
}

fn install(making: &Making, requirements: &[PathBuf], log: &Path) -> Result<()> {
    let layout = &making.site.layout;
    let installer = layout.tools().join("bin").join(match making.site.config.python.installer {
        Installer::Uv => "uv",
        Installer::Pip => "python",
    });
    if !installer.exists() || !layout.wheelhouse().is_dir() {
        return Err(Error::Unmet {
            problem: "there is nothing to install packages from".into(),
            cause: format!("{} or {} is missing", layout.wheelhouse().display(), installer.display()),
            next: "builds wheels fetches the packages once".into(),
        });
    }
    let cache = store::cache(making.site, &making.maker);
    let install = match making.site.config.python.installer {
        // A cache that stays would serve an old wheel where another has taken its name.
        Installer::Uv => Run::new(installer)
            .args(inputs::UV)
            .arg("--cache-dir")
            .arg(&cache)
            .arg("--python")
            .arg(making.paths.python()),
        Installer::Pip => Run::new(installer)
            .args(["-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "--python"])
            .arg(making.paths.python())
            .args(["install", "--no-compile", "--no-cache-dir", "--root-user-action", "ignore"]),
    };
    let install = install
        .args(["--no-index", "--find-links"])
        .arg(layout.wheelhouse())
        .hint("builds wheels fetches what the wheelhouse lacks");
    // uv leaves its lock in the environment, which is the build; it may have been the source's.
    let lock = making.paths.dir().join(".lock");
    let own = files::exists(&lock);
    making.tool(requirements.iter().fold(install, |install, file| install.arg("-r").arg(file)), log)?;
    if !own {
        files::remove(&lock)?;
    }
    // The cache goes with the end of the create: after a deletion ext4 makes directories slowly for a minute.
    Ok(())
}
