use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;

use super::{Selection, TreeError, absent, itself, there};

/// Removes from `target` what `before` took and `now` does not, and returns how many entries that were.
///
/// A directory goes only once it is empty but for Python's bytecode: what else was put there is not the copy's to delete.
/// Nothing is reached through a link. Best called before [`copy`](super::copy), which then sets the directories' times.
///
/// # Errors
/// An entry that is there and cannot be removed.
pub fn remove_gone(target: &Path, before: &Selection, now: &Selection) -> Result<usize, TreeError> {
    let mut removed = 0;
    // Backwards, so that a directory's turn comes after all that it held.
    for path in before.iter().rev().filter(|path| !now.contains(path)) {
        if directly_below(target, path)? {
            removed += usize::from(remove_one(&target.join(path))?);
        }
    }
    Ok(removed)
}

/// Whether everything from `target` down to the parent of `path` is a directory, and none of it a link.
fn directly_below(target: &Path, path: &Path) -> Result<bool, TreeError> {
    for parent in path.ancestors().skip(1) {
        if !there(itself(&target.join(parent)))?.is_some_and(|found| found.is_dir()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove_one(path: &Path) -> Result<bool, TreeError> {
    let Some(found) = there(path)? else {
        return Ok(false);
    };
    if found.is_dir() {
        remove_all(&path.join("__pycache__"))?;
    }
    let remove = || match found.is_dir() {
        true => fs::remove_dir(path),
        false => fs::remove_file(path),
    };
    let removed = match remove() {
        Err(e) if denied(&e) => in_writable_parent(path, remove),
        other => other,
    };
    match removed {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty || absent(&e) => Ok(false),
        Err(e) => Err(TreeError::new("remove", path, e)),
    }
}

fn in_writable_parent(path: &Path, remove: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    let mode = fs::symlink_metadata(parent)?.mode() & 0o7777;
    fs::set_permissions(parent, Permissions::from_mode(mode | 0o700))?;
    let removed = remove();
    fs::set_permissions(parent, Permissions::from_mode(mode))?;
    removed
}

/// Deletes `path` and, if it is a directory, all that it holds, also in directories that are read-only.
///
/// A link is deleted, never followed. That nothing is there is no error.
///
/// # Errors
/// Whatever cannot be removed; the rest may be gone by then.
pub fn remove_all(path: &Path) -> Result<(), TreeError> {
    let path = itself(path);
    let failed = |e| TreeError::new("remove", path, e);
    let removed = match there(path)? {
        None => return Ok(()),
        Some(found) if !found.is_dir() => fs::remove_file(path),
        Some(_) => match fs::remove_dir_all(path) {
            Err(e) if denied(&e) => open_up(path).and_then(|()| fs::remove_dir_all(path)),
            other => other,
        },
    };
    match removed {
        Err(e) if !absent(&e) => Err(failed(e)),
        _ => Ok(()),
    }
}

/// Gives the owner every right to `directory` and all below.
fn open_up(directory: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(directory)?.mode() & 0o7777;
    if mode & 0o700 != 0o700 {
        fs::set_permissions(directory, Permissions::from_mode(mode | 0o700))?;
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Refused by a mode, which its owner can change; `EPERM` (an immutable file, a foreign owner) is not.
fn denied(e: &io::Error) -> bool {
    e.raw_os_error() == Some(Errno::EACCES as i32)
}
