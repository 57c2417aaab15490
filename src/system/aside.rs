//! Files that have lost their place and are wanted for a while: static files of removed builds, for pages that are open.
//!
//! Since when one is aside tells the time of its last change of status: it changes as the file gets its second name and
//! loses the first, and nothing but that happens to it there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use walkdir::WalkDir;

use super::{files, tree};
use crate::error::{Error, Result};

/// What is aside in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Files.
    pub files: u64,
    /// The bytes that they take on the disk.
    pub bytes: u64,
    /// So many of the files have been there for too long.
    pub old: u64,
    /// And so many of the bytes.
    pub old_bytes: u64,
}

/// Moves a tree of files to those that are aside already, of which it replaces those of the same names. None is ever
/// without a name: each has its second before it loses the first.
///
/// # Errors
/// Some of them may have two names then.
pub fn set(from: &Path, to: &Path) -> Result<()> {
    if !files::exists(from) {
        return Ok(());
    }
    for entry in WalkDir::new(from) {
        let entry = entry.map_err(|error| Error::io("read", from)(error.into()))?;
        let second = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        match entry.file_type().is_dir() {
            true => files::directory(&second)?,
            false => files::share(entry.path(), &second)?,
        }
    }
    Ok(tree::remove_all(from)?)
}

/// Deletes the files that were set aside before `until`, and the directories that are empty then.
///
/// # Errors
/// One cannot be deleted; the others may be gone.
pub fn sweep(place: &Path, until: SystemTime) -> Result<()> {
    for entry in WalkDir::new(place).contents_first(true) {
        let entry = match entry {
            Err(error) if error.io_error().is_some_and(is_gone) => continue,
            entry => entry.map_err(|error| Error::io("read", place)(error.into()))?,
        };
        let removed = match entry.file_type().is_dir() {
            true => fs::remove_dir(entry.path()),
            false if since(entry.path())? < until => fs::remove_file(entry.path()),
            false => Ok(()),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty && !is_gone(&error) => {
                return Err(Error::io("remove", entry.path())(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What there is in a place, and what of it [`sweep`] would delete.
///
/// # Errors
/// It cannot be read.
pub fn look(place: &Path, until: SystemTime) -> Result<Aside> {
    let mut sum = Aside::default();
    for entry in WalkDir::new(place) {
        let entry = entry.map_err(|error| Error::io("read", place)(error.into()))?;
        if !entry.file_type().is_dir() {
            let data = fs::symlink_metadata(entry.path()).map_err(Error::io("look at", entry.path()))?;
            let (bytes, old) = (data.blocks() * 512, changed(&data) < until);
            sum.files += 1;
            sum.bytes += bytes;
            sum.old += u64::from(old);
            sum.old_bytes += if old { bytes } else { 0 };
        }
    }
    Ok(sum)
}

fn since(path: &Path) -> Result<SystemTime> {
    let data = fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
    Ok(changed(&data))
}

fn changed(data: &fs::Metadata) -> SystemTime {
    let (seconds, nanoseconds) = (data.ctime(), data.ctime_nsec());
    UNIX_EPOCH + Duration::new(seconds.try_into().unwrap_or(0), nanoseconds.try_into().unwrap_or(0))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::super::tree::scratch::Scratch;
    use super::*;

    #[test]
    fn what_is_aside_goes_file_by_file_when_its_time_is_over() {
        let place = Scratch::new();
        let (first, second, aside) = (place.join("first"), place.join("second"), place.join("aside/c"));
        for (from, names) in [(&first, ["css/old.css", "same.css"]), (&second, ["js/new.js", "same.css"])] {
            for name in names {
                fs::create_dir_all(from.join(name).parent().unwrap()).unwrap();
                fs::write(from.join(name), name).unwrap();
            }
        }
        set(&first, &aside).unwrap();
        set(&place.join("none"), &aside).unwrap();
        let old = since(&aside.join("css/old.css")).unwrap();
        // Clocks of file systems tick slowly.
        let between = loop {
            fs::write(place.join("tick"), "").unwrap();
            let now = since(&place.join("tick")).unwrap();
            if now > old {
                break now;
            }
        };
        set(&second, &aside).unwrap();
        assert!(!first.exists() && !second.exists());
        let seen = look(&aside, between).unwrap();
        assert_eq!((seen.files, seen.old), (3, 1));
        assert!(seen.bytes > seen.old_bytes && seen.old_bytes > 0);

        sweep(&aside, old).unwrap();
        assert_eq!(look(&aside, between).unwrap(), seen, "nothing was older");
        sweep(&aside, between).unwrap();
        assert!(!aside.join("css").exists() && aside.join("js/new.js").exists() && aside.join("same.css").exists());
        sweep(&place.join("aside"), SystemTime::now() + Duration::from_secs(1)).unwrap();
        assert!(!place.join("aside").exists());
        sweep(&place.join("aside"), between).unwrap();
    }
}
