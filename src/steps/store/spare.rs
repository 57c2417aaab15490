//! What is there for builds to come: spares, which are clones of packages that a build takes by a rename, and entries that
//! were made before there is a build of them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Entry, Pending, Record, Store, TREE};
use crate::error::{Error, Result};
use crate::model::digest::Digest;
use crate::site::Site;
use crate::system::files;
use crate::system::tree;

/// The name of a spare in its entry.
const SPARE: &str = "spare";

/// The name of the file in an entry that was made ahead.
const AHEAD: &str = "ahead";

impl Store<'_> {
    /// Puts the packages of an entry into a build that leaves them as they are until it is complete: a spare which were
    /// changed could be back in the store after a power cut. Returns what [`Store::take`] does.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn give(&self, entry: &Entry, to: &Path) -> Result<Option<u64>> {
        tree::remove_all(to)?;
        if entry.record.sealed && fs::rename(entry.tree(SPARE), to).is_ok() {
            return Ok(Some(entry.record.bytes));
        }
        self.take(entry, TREE, to)
    }

    /// Makes the spare of the entry that `maker`, whose packages are for `directory`, has under a key, where there is none
    /// yet.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn make_spare(&self, maker: &str, key: &Digest, directory: &Path) -> Result<Option<Pending>> {
        let (new, place) = (super::unfinished(self.site, self.kind, maker), self.place(key));
        let (from, to) = (unfinished(self.site, self.kind, maker), place.join(SPARE));
        // What is new replaces an entry with its spare.
        let entry = match files::exists(&new) {
            true => self.read(new, key),
            false if files::exists(&to) => None,
            false => self.read(place, key),
        };
        let Some(entry) = entry.filter(|entry| entry.record.sealed) else { return Ok(None) };
        // None could be renamed into a build on another file system.
        let device = |path: &Path| fs::metadata(path).map(|data| data.dev()).ok();
        if device(&entry.directory) != device(directory) {
            return Ok(None);
        }
        tree::remove_all(&from)?;
        // The commands that run meanwhile may need the other processors.
        let cloned = tree::clone(&entry.tree(TREE), &from, self.sharing(true), 1)?;
        if cloned.bytes != entry.record.bytes {
            tree::remove_all(&from)?;
            return Ok(None);
        }
        Ok(Some(Pending { from, to }))
    }

    /// Has the new entry of `maker` stay until there is a younger build, and what it was made of become its spare, unless
    /// builds write into it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_by(&self, maker: &str, record: &Record, tree: &Path) -> Result<Option<Pending>> {
        let mark = super::unfinished(self.site, self.kind, maker).join(AHEAD);
        fs::write(&mark, "").map_err(Error::io("write", &mark))?;
        if !record.sealed {
            return Ok(None);
        }
        let (from, to) = (unfinished(self.site, self.kind, maker), self.place(&record.inputs.key()).join(SPARE));
        tree::remove_all(&from)?;
        Ok(fs::rename(tree, &from).is_ok().then_some(Pending { from, to }))
    }
}

/// Whether an entry was made ahead, and no build since; `youngest` is when the last one was begun, in seconds since 1970.
pub fn waits(entry: &Path, youngest: u64) -> bool {
    fs::metadata(entry.join(AHEAD)).is_ok_and(|mark| u64::try_from(mark.mtime()).is_ok_and(|made| made >= youngest))
}

/// Where a spare is made.
pub fn unfinished(site: &Site, kind: &str, maker: &str) -> PathBuf {
    site.layout.store().join(kind).join(format!(".spare-{maker}"))
}
