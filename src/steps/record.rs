//! What a create has made, kept for `verify`: every file with its size, time and permissions.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::listing::{self, Listing, Seen};
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::tree;

/// Writes down what a build and its static files are now. Not synced: a torn record is known by its end.
///
/// # Errors
/// A file cannot be looked at, or the record not be written.
pub fn write(site: &Site, name: BuildName) -> Result<()> {
    let path = site.layout.build(name).files_list();
    std::fs::write(&path, listing::write(&look(site, name)?)).map_err(Error::io("write", &path))
}

/// What a build and its static files were when it was created; `None` where nobody wrote that down.
///
/// # Errors
/// It cannot be read.
pub fn read(site: &Site, name: BuildName) -> Result<Option<Listing>> {
    let path = site.layout.build(name).files_list();
    match std::fs::read(&path) {
        Ok(text) => Ok(listing::read(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// What they are now. Static files are where the build's link leads to them.
///
/// # Errors
/// A file cannot be looked at.
pub fn look(site: &Site, name: BuildName) -> Result<Vec<(PathBuf, Seen)>> {
    let statics = site.layout.static_of(name);
    let mut all = tree::list(site.layout.build(name).dir(), Path::new(""), &["run"])?;
    if statics.is_dir() {
        all.append(&mut tree::list(&statics, Path::new("assets/static"), &[])?);
    }
    Ok(all)
}
