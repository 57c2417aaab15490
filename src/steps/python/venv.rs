use std::fs;
use std::path::{Path, PathBuf};

use super::super::Making;
use crate::error::{Error, Result};
use crate::model::config::Installer;
use crate::system::process::Run;
use crate::system::tree;

/// Makes a virtual environment in place, leaving the source's files alone, and tells what it is. The `venv` command would
/// also write a `.gitignore` over the source's.
const MAKE: &str = "
import os, platform, sys, sysconfig, venv
venv.EnvBuilder(symlinks=True).create(sys.argv[1])
print(platform.python_version())
print(os.path.realpath(sys.executable), sys.implementation.cache_tag, sysconfig.get_platform(), sys.version)
";

/// The virtual environment of a build, without packages.
pub struct Venv<'a> {
    /// The build's directory.
    pub directory: &'a Path,
    /// Where packages go.
    pub packages: PathBuf,
    /// The version of its Python, such as `3.11.2`.
    pub version: String,
    /// All that tells this Python from another.
    pub identity: String,
}

impl<'a> Venv<'a> {
    /// Makes it. Nothing of an earlier try stays: half a package must not pass for one.
    ///
    /// # Errors
    /// There is no such Python, or it cannot make one.
    pub fn make(making: &'a Making) -> Result<Self> {
        let directory = making.paths.dir();
        for packages in site_packages(directory) {
            tree::remove_all(&packages)?;
        }
        let python = &making.site.config.python;
        let said = Run::new(&python.interpreter).args(["-Ic", MAKE]).arg(directory).directory(directory).output()?;
        let said = String::from_utf8_lossy(&said);
        let (version, identity) = said.trim().split_once('\n').unwrap_or((said.trim(), ""));
        if python.installer == Installer::Uv {
            let path = directory.join("pyvenv.cfg");
            // uv's word for scripts that find their Python beside them, and so are the same in every build.
            let text = fs::read_to_string(&path).map(|text| text + "relocatable = true\n");
            text.and_then(|text| fs::write(&path, text)).map_err(Error::io("write", &path))?;
        }
        let mut made = site_packages(directory);
        let packages = made.pop().ok_or_else(|| Error::Unmet {
            problem: format!("{} has made no virtual environment", python.interpreter.display()),
            cause: format!("there is no lib/python3.…/site-packages in {}", directory.display()),
            next: "try it by hand: python3 -m venv /tmp/try".into(),
        })?;
        Ok(Self { directory, packages, version: version.to_owned(), identity: identity.replace('\n', " ") })
    }
}

fn site_packages(directory: &Path) -> Vec<PathBuf> {
    let lib = fs::read_dir(directory.join("lib")).into_iter().flatten().flatten();
    let pythons = lib.filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
    pythons.map(|python| python.path().join("site-packages")).filter(|packages| packages.is_dir()).collect()
}
