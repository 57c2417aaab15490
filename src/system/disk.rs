//! What a file system has left, and what it can do.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::statvfs::statvfs;

use super::files;

/// What users without root may still put on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files, links and directories; `None` where nothing but the bytes limits them.
    pub files: Option<u64>,
}

/// The room on the file system that holds `path`.
///
/// # Errors
/// It does not tell.
pub fn room(path: &Path) -> io::Result<Room> {
    let told = statvfs(path)?;
    Ok(Room {
        bytes: told.blocks_available() * told.fragment_size(),
        files: (told.files() > 0).then(|| told.files_available()),
    })
}

/// Whether two links in a directory can change places in one step. Two hidden ones are made for it, and removed.
///
/// # Errors
/// No link can be made there.
pub fn exchanges(directory: &Path) -> io::Result<bool> {
    let pair = ["one", "other"].map(|name| files::beside(&directory.join(name)));
    let [one, other] = &pair;
    let answer = symlink("nowhere", one).and_then(|()| symlink("nowhere", other)).and_then(|()| {
        match renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    });
    for link in &pair {
        fs::remove_file(link).ok();
    }
    answer
}
