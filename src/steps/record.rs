//! What a create has made, kept for `verify`: every file with its size, time and permissions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::Making;
use crate::error::{Error, Result};
use crate::model::listing::{self, Listing, Seen};
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::tree;

/// Trees of a build, and what is in each, by paths from the build's directory.
pub type Recorded = Vec<(PathBuf, Vec<(PathBuf, Seen)>)>;

impl Making<'_> {
    /// Looks at the packages, ahead of the end: they are most of a build, and stay as they are.
    pub(super) fn record_packages(&self) -> Result<()> {
        for tree in self.sizes().keys() {
            let Ok(path) = tree.strip_prefix(self.paths.dir()) else { continue };
            let seen = tree::list(tree, path, &[])?;
            self.recorded.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), seen));
        }
        Ok(())
    }

    /// Writes down what the build and its static files are. A build can do without. Not synced: a torn record is known by
    /// its end.
    pub(super) fn record(&self) {
        if let Err(error) = self.try_record() {
            tracing::warn!("builds verify {} will not work: {}: {}", self.name, error.what(), error.cause());
        }
    }

    fn try_record(&self) -> Result<()> {
        let packages = std::mem::take(&mut *self.recorded.lock().unwrap_or_else(PoisonError::into_inner));
        let trees: Vec<&Path> = packages.iter().map(|(tree, _)| tree.as_path()).collect();
        let mut all = look_without(self.site, self.name, &trees)?;
        all.extend(packages.into_iter().flat_map(|(_, seen)| seen));
        let path = self.paths.files_list();
        std::fs::write(&path, listing::write(&all)).map_err(Error::io("write", &path))
    }
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
    look_without(site, name, &[])
}

fn look_without(site: &Site, name: BuildName, trees: &[&Path]) -> Result<Vec<(PathBuf, Seen)>> {
    let statics = site.layout.static_of(name);
    let without = [trees, &[Path::new("run")]].concat();
    let mut all = tree::list(site.layout.build(name).dir(), Path::new(""), &without)?;
    if statics.is_dir() {
        all.append(&mut tree::list(&statics, Path::new("assets/static"), &[])?);
    }
    Ok(all)
}
