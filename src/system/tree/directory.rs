use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::time::TimeSpec;

use super::TreeError;

/// An open directory, whose entries are reached through it alone, whatever becomes of the path that led there.
pub(super) struct Directory {
    opened: Dir,
    pub(super) path: PathBuf,
}

impl Directory {
    /// A link is not followed.
    pub(super) fn open(path: PathBuf) -> Result<Self, TreeError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match Dir::openat(AT_FDCWD, &path, flags, Mode::empty()) {
            Ok(opened) => Ok(Self { opened, path }),
            Err(e) => Err(TreeError::new("open", &path, e.into())),
        }
    }

    /// Where `name` lies, for messages.
    pub(super) fn at(&self, name: &CStr) -> PathBuf {
        self.path.join(os(name))
    }

    pub(super) fn names(&mut self) -> Result<Vec<CString>, TreeError> {
        let names = self.opened.iter().map(|entry| entry.map(|entry| entry.file_name().to_owned()));
        let names = names.filter(|name| !name.as_deref().is_ok_and(|name| name == c"." || name == c".."));
        names.collect::<Result<_, _>>().map_err(|e| TreeError::new("list", &self.path, e.into()))
    }

    pub(super) fn stat(&self) -> Result<FileStat, TreeError> {
        fstat(self).map_err(|e| TreeError::new("look at", &self.path, e.into()))
    }

    /// What lies at `name` itself.
    pub(super) fn look(&self, name: &CStr) -> Result<FileStat, TreeError> {
        fstatat(self, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|e| TreeError::new("look at", &self.at(name), e.into()))
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }
}

pub(super) fn os(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

/// Anybody may write.
pub(super) const WRITE: Mode = Mode::S_IWUSR.union(Mode::S_IWGRP).union(Mode::S_IWOTH);

/// The type alone.
pub(super) fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
}

/// The permissions and what goes with them.
pub(super) fn mode(found: &FileStat) -> Mode {
    Mode::from_bits_truncate(found.st_mode & 0o7777)
}

pub(super) fn mtime(found: &FileStat) -> TimeSpec {
    TimeSpec::new(found.st_mtime, found.st_mtime_nsec)
}

/// In bytes.
pub(super) fn size(found: &FileStat) -> u64 {
    u64::try_from(found.st_size).unwrap_or_default()
}
