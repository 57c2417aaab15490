use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::TreeError;

/// An open directory, whose entries are reached through it alone, whatever becomes of the path that led there.
pub(super) struct Directory {
    opened: OwnedFd,
    pub(super) path: PathBuf,
}

impl Directory {
    /// A link is not followed.
    pub(super) fn open(path: PathBuf) -> Result<Self, TreeError> {
        Self::open_from(AT_FDCWD, &path, OFlag::O_NOFOLLOW, path.clone())
    }

    /// The link that may lie there is followed: for what the operator has named.
    pub(super) fn follow(path: &Path) -> Result<Self, TreeError> {
        Self::open_from(AT_FDCWD, path, OFlag::empty(), path.to_owned())
    }

    /// A directory in this one; no link.
    pub(super) fn enter(&self, name: &OsStr) -> Result<Self, TreeError> {
        Self::open_from(self, Path::new(name), OFlag::O_NOFOLLOW, self.at(name))
    }

    fn open_from(place: impl AsFd, name: &Path, flags: OFlag, path: PathBuf) -> Result<Self, TreeError> {
        let flags = flags | OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match openat(place, name, flags, Mode::empty()) {
            Ok(opened) => Ok(Self { opened, path }),
            Err(e) => Err(TreeError::new("open", &path, e.into())),
        }
    }

    /// Where `name` lies, for messages.
    pub(super) fn at(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn names(&self) -> Result<Vec<OsString>, TreeError> {
        let failed = |e: io::Error| TreeError::new("list", &self.path, e);
        let mut opened = self.opened.try_clone().and_then(|fd| Ok(Dir::from_fd(fd)?)).map_err(failed)?;
        let name = |entry: nix::dir::Entry| OsString::from_vec(entry.file_name().to_bytes().to_vec());
        let names = opened.iter().map(|entry| entry.map(name));
        let names = names.filter(|name| !name.as_ref().is_ok_and(|name| name == "." || name == ".."));
        names.collect::<Result<_, _>>().map_err(|e| failed(e.into()))
    }

    pub(super) fn stat(&self) -> Result<FileStat, TreeError> {
        fstat(self).map_err(|e| TreeError::new("look at", &self.path, e.into()))
    }

    /// What lies at `name` itself.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<FileStat> {
        Ok(fstatat(self, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Removes a file or link. That none is there is no error.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(self, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) | Ok(()) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }
}

/// Anybody may write.
pub(super) const WRITE: Mode = Mode::S_IWUSR.union(Mode::S_IWGRP).union(Mode::S_IWOTH);

pub(super) const PERMISSIONS: Mode = Mode::S_IRWXU.union(Mode::S_IRWXG).union(Mode::S_IRWXO);

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
