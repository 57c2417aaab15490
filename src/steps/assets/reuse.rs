//! When static files that were made for one build are those of another.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::super::Making;
use crate::error::{Error, Result};
use crate::model::digest::{Digest, Inputs};
use crate::system::files;

/// All that decides what the commands make, or why that is not known.
///
/// # Errors
/// A file of the source cannot be read.
pub fn inputs(making: &Making, commands: &[Vec<String>]) -> Result<Result<Inputs, String>> {
    let mut inputs = Inputs::default();
    inputs.add("builds", env!("CARGO_PKG_VERSION"));
    inputs.add("commands", format!("{commands:?}"));
    for (name, value) in env::vars_os().filter(|(name, _)| is_kept(name)) {
        inputs.add(format!("${}", name.to_string_lossy()), Digest::of(value.as_encoded_bytes()));
    }
    for (name, value) in &making.site.config.env {
        inputs.add(format!("env.{name}"), Digest::of(value.as_bytes()));
    }
    {
        let manifest = making.manifest();
        inputs.add("Python", manifest.python.as_deref().unwrap_or_default());
        // Packages that are not for reuse have no digest.
        for (kind, some) in [("python", !manifest.wheels.is_empty()), ("node", !manifest.npm.is_empty())] {
            match manifest.digests.get(kind) {
                Some(digest) => inputs.add(format!("{kind} packages"), digest),
                None if some => return Ok(Err(format!("the {kind} packages are not"))),
                None => {}
            }
        }
    }
    Ok(source(making)?.map(|source| {
        inputs.add("the source", source);
        inputs
    }))
}

/// The variables of the caller that the commands do not see: what is made must not depend on who makes it.
pub fn foreign() -> Vec<OsString> {
    let neutral = |name: &OsString| ["HOME", "LOGNAME", "TMPDIR", "USER"].iter().any(|known| name == known);
    env::vars_os().map(|(name, _)| name).filter(|name| !is_kept(name) && !neutral(name)).collect()
}

/// The caller's variables that the commands see, and that count.
fn is_kept(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| ["LANG", "PATH", "TZ"].contains(&name) || name.starts_with("LC_"))
}

/// What in a file would make it one for this build alone.
pub fn own_names(making: &Making) -> Vec<String> {
    let (name, tag) = (making.name, making.manifest().tag.to_string());
    vec![format!("/static/{name}"), format!("/builds/{name}"), tag]
}

/// The digest of the files that the commands may read: names, modes, contents; or why there may be more.
fn source(making: &Making) -> Result<Result<Digest, String>> {
    let build = fs::canonicalize(making.paths.dir()).map_err(Error::io("find", making.paths.dir()))?;
    let wanted = making.site.config.assets.inputs.as_deref();
    let read = |path: &Path| wanted.is_none_or(|inputs: &[PathBuf]| inputs.iter().any(|one| path.starts_with(one)));
    let mut list = String::new();
    for path in making.files().iter().filter(|path| read(path)) {
        let file = making.paths.dir().join(path);
        if !files::exists(&file) {
            // The site's own builds.toml, in a commit.
            continue;
        }
        let failed = |error| Error::io("read", &file)(error);
        let data = fs::symlink_metadata(&file).map_err(failed)?;
        if data.is_symlink() && fs::canonicalize(&file).is_ok_and(|target| !target.starts_with(&build)) {
            return Ok(Err(format!("{} leads out of the build", path.display())));
        }
        let content = match () {
            () if data.is_dir() => continue,
            () if data.is_symlink() => Digest::of(fs::read_link(&file).map_err(failed)?.as_os_str().as_encoded_bytes()),
            () if data.is_file() => fs::File::open(&file).and_then(Digest::read).map_err(failed)?,
            () => continue,
        };
        list += &format!("{path:?} {:o} {content}\n", data.permissions().mode());
    }
    Ok(Ok(Digest::of(list.as_bytes())))
}
