//! The places in a build that are its own: what comes with the files must neither take one nor lead elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use super::Making;
use crate::error::{Error, Result};
use crate::system::files;
use crate::system::tree::Selection;

/// Places in a build that uWSGI, nginx and `builds` act on, whatever lies there.
const OWN: [&str; 10] = [
    "assets/media",
    "assets/static",
    "build.ini",
    "build.json",
    "live.conf",
    "run",
    "stage.conf",
    "vassal.ini",
    "zerg-2.ini",
    "zerg.ini",
];

/// Where Python's, npm's and the own steps write below the directory of a build.
const WRITTEN: [&str; 6] = ["assets", "bin", "include", "lib", "pyvenv.cfg", "share"];

/// Checks, before anything is copied, that nothing will take a place that is the build's own: a `vassal.ini` among
/// the files would start half a build.
///
/// # Errors
/// Something would.
pub fn refuse_own_names(selection: &Selection, origin: &str) -> Result<()> {
    match OWN.iter().find(|name| selection.contains(Path::new(name))) {
        None => Ok(()),
        Some(name) => Err(Error::Unmet {
            problem: format!("the {origin} has {name} of its own"),
            cause: "a build needs the name".into(),
            next: format!("move it to another place in the {origin}"),
        }),
    }
}

/// Checks that no link that came with the files leads out of the build where a later step writes.
///
/// # Errors
/// One does.
pub fn refuse_ways_out(making: &Making) -> Result<()> {
    let dir = making.paths.dir();
    let real = fs::canonicalize(dir).map_err(Error::io("find", dir))?;
    let node = making.site.config.node.package_dir.join("node_modules");
    let written =
        WRITTEN.map(PathBuf::from).into_iter().chain([node]).map(|name| dir.join(name).components().collect());
    let leads_out =
        |path: &PathBuf| files::exists(path) && !fs::canonicalize(path).is_ok_and(|target| target.starts_with(&real));
    match written.into_iter().find(leads_out) {
        None => Ok(()),
        Some(path) => Err(Error::Unmet {
            problem: format!("{} is a link that leads out of the build", path.display()),
            cause: "what a create writes there would change files that are not the build's".into(),
            next: "give the link another name in the source, or the overlay".into(),
        }),
    }
}
