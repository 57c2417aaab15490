//! What a file system has left, and what it can do.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::statfs::{EXT4_SUPER_MAGIC, FsType, TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;
use rustix::fs::ioctl_ficlone;

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

/// Whether no two files there share blocks on the disk, which is known of some types of file systems.
pub fn keeps_blocks_apart(place: &Path) -> bool {
    const APART: [FsType; 2] = [EXT4_SUPER_MAGIC, TMPFS_MAGIC];
    statfs(place).is_ok_and(|told| APART.contains(&told.filesystem_type()))
}

/// Whether two files in a directory can share blocks on the disk. Two hidden ones are made for it, and removed.
///
/// # Errors
/// No file can be written there.
pub fn shares_blocks(directory: &Path) -> io::Result<bool> {
    let pair = ["one", "other"].map(|name| files::beside(&directory.join(name)));
    let [one, other] = &pair;
    let answer = fs::write(one, [1; 4096]).and_then(|()| {
        let (one, other) = (File::open(one)?, File::create(other)?);
        // Whatever the kernel has against it here, it will have later.
        Ok(ioctl_ficlone(other, one).is_ok())
    });
    for file in &pair {
        fs::remove_file(file).ok();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::super::tree::scratch::Scratch;
    use super::*;

    #[test]
    fn a_file_system_is_asked_without_a_trace() {
        let place = Scratch::new();
        assert!(exchanges(&place).unwrap());
        // No tmpfs shares blocks, and where there is no file to be made there is no answer.
        assert!(keeps_blocks_apart(Path::new("/dev/shm")) && !keeps_blocks_apart(Path::new("/proc")));
        assert!(!shares_blocks(Path::new("/dev/shm")).unwrap());
        assert!(shares_blocks(Path::new("/proc")).is_err());
        shares_blocks(&place).unwrap();
        assert_eq!(fs::read_dir(&*place).unwrap().count(), 0);
    }
}
