//! Spares: clones of packages for the build that comes next, made while the commands of this one run. Taking one is a
//! rename.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Entry, Pending, Store, TREE};
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::files;
use crate::system::tree::{self, Sharing};

/// The name of a spare in its entry.
const SPARE: &str = "spare";

impl Store<'_> {
    /// Puts the packages of an entry into a build that leaves them as they are until it is complete: a spare which were
    /// changed could be back in the store after a power cut. Returns how many of their bytes take no room of their own.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn give(&self, entry: &Entry, to: &Path) -> Result<u64> {
        tree::remove_all(to)?;
        if fs::rename(entry.tree(SPARE), to).is_ok() {
            let shares = self.sharing(entry.record.sealed) != Sharing::Nothing;
            return Ok(if shares { entry.record.bytes } else { 0 });
        }
        Ok(self.clone(&entry.tree(TREE), to, entry.record.sealed)?.shared)
    }

    /// Makes the spare of the entry that build `name` has under a key, where there is none yet.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn make_spare(&self, name: BuildName, key: &Digest) -> Result<Option<Pending>> {
        let (new, place) = (super::unfinished(self.site, self.kind, name), self.place(key));
        let (from, to) = (unfinished(self.site, self.kind, name), place.join(SPARE));
        // What is new replaces an entry with its spare.
        let directory = match files::exists(&new) {
            true => new,
            false if files::exists(&to) => return Ok(None),
            false => place,
        };
        let Some(entry) = self.read(directory, key) else { return Ok(None) };
        // None could be renamed into a build on another file system.
        let device = |path: &Path| fs::metadata(path).map(|data| data.dev()).ok();
        if device(&entry.directory) != device(self.site.layout.build(name).dir()) {
            return Ok(None);
        }
        tree::remove_all(&from)?;
        // The commands that run meanwhile may need the other processors.
        tree::clone(&entry.tree(TREE), &from, self.sharing(entry.record.sealed), 1)?;
        Ok(Some(Pending { from, to }))
    }
}

/// Where a create makes a spare.
pub fn unfinished(site: &Site, kind: &str, name: BuildName) -> PathBuf {
    site.layout.store().join(kind).join(format!(".spare-{name}"))
}
