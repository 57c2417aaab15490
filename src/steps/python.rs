//! The virtual environment and the packages of the requirement files, from the wheelhouse alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Making, Note};
use crate::error::{Error, Result};
use crate::model::config::Installer;
use crate::system::process::Run;
use crate::system::tree;

/// Makes a virtual environment in place, leaving the source's files alone. The `venv` command would also write a
/// `.gitignore` over the source's.
const MAKE: &str = "import sys, venv; venv.EnvBuilder(symlinks=True).create(sys.argv[1])";
const VERSION: &str = "import platform; print(platform.python_version())";

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    clear(making)?;
    let interpreter = &making.site.config.python.interpreter;
    making.tool(Run::new(interpreter).args(["-c", MAKE]).arg(making.paths.dir()), log)?;
    let version = Run::new(making.paths.python()).args(["-c", VERSION]).output()?;
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    making.manifest().python = Some(version.clone());

    let requirements = requirements(making)?;
    if requirements.is_empty() {
        return Ok(Some(format!("Python {version}, no requirements")));
    }
    install(making, &requirements, log)?;
    Ok(Some(format!("Python {version}, {} packages", installed(making))))
}

/// Removes the packages of an earlier try: half a package must not pass for one.
fn clear(making: &Making) -> Result<()> {
    let lib = making.paths.dir().join("lib");
    for entry in fs::read_dir(lib).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("python") {
            tree::remove_all(&entry.path().join("site-packages"))?;
        }
    }
    Ok(())
}

/// The requirement files of the build: those of the configuration, or `requirements.txt` if there is one.
fn requirements(making: &Making) -> Result<Vec<PathBuf>> {
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
    let bin = layout.tools().join("bin");
    if !bin.join("python").exists() || !layout.wheelhouse().is_dir() {
        return Err(Error::Unmet {
            problem: "there is nothing to install packages from".into(),
            cause: format!("{} or {} is missing", layout.wheelhouse().display(), bin.display()),
            next: "builds wheels fetches the packages once".into(),
        });
    }
    let install = match making.site.config.python.installer {
        Installer::Uv => Run::new(bin.join("uv"))
            .args(["pip", "install", "--offline", "--no-config", "--no-progress", "--compile-bytecode"])
            // A hard link into the cache would make live and this build share files that either may write.
            .args(["--link-mode", "copy"])
            .arg("--cache-dir")
            .arg(layout.uv_cache())
            .arg("--python")
            .arg(making.paths.python()),
        Installer::Pip => Run::new(bin.join("python"))
            .args(["-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "--python"])
            .arg(making.paths.python())
            .args(["install", "--no-cache-dir", "--root-user-action", "ignore"]),
    };
    let install = install
        .args(["--no-index", "--find-links"])
        .arg(layout.wheelhouse())
        .hint("builds wheels fetches what the wheelhouse lacks");
    making.tool(requirements.iter().fold(install, |install, file| install.arg("-r").arg(file)), log)
}

/// How many distributions the virtual environment holds.
fn installed(making: &Making) -> usize {
    let lib = fs::read_dir(making.paths.dir().join("lib")).into_iter().flatten().flatten();
    lib.flat_map(|python| fs::read_dir(python.path().join("site-packages")).into_iter().flatten().flatten())
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".dist-info"))
        .count()
}
