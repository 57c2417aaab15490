//! npm packages, from the local store alone.

use std::path::Path;

use super::{Making, Note};
use crate::error::Result;
use crate::system::process::Run;

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    let directory = making.paths.dir().join(&making.site.config.node.package_dir);
    if !directory.join("package.json").is_file() {
        return Ok(None);
    }
    let verb = install_verb(directory.join("package-lock.json").is_file());
    let install = Run::new("npm")
        .args([verb, "--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--prefix"])
        .arg(&directory)
        .arg("--cache")
        .arg(making.site.layout.npm_store())
        .hint("builds wheels fetches what the npm store lacks");
    making.tool(install, log)?;
    Ok(Some(format!("npm {verb}")))
}

/// `ci` installs exactly what a lock file names; without one npm has to choose.
pub fn install_verb(locked: bool) -> &'static str {
    if locked { "ci" } else { "install" }
}
