use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, getegid, geteuid, getgroups};

use super::directory::{Directory, kind, mode, mtime};

/// Which owners this process may give to a file.
pub(super) struct Giver {
    root: bool,
    groups: Vec<Gid>,
}

impl Giver {
    pub(super) fn this_process() -> Self {
        let mut groups = getgroups().unwrap_or_default();
        groups.push(getegid());
        Self { root: geteuid().is_root(), groups }
    }

    fn owner(&self, uid: u32) -> Option<Uid> {
        self.root.then_some(Uid::from_raw(uid))
    }

    fn group(&self, gid: u32) -> Option<Gid> {
        let gid = Gid::from_raw(gid);
        (self.root || self.groups.contains(&gid)).then_some(gid)
    }
}

/// What a copy keeps of a file besides its content.
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    kind: SFlag,
    pub(super) mode: Mode,
    uid: Option<Uid>,
    gid: Option<Gid>,
    mtime: TimeSpec,
}

impl Attributes {
    /// Owner and group only so far as `giver` can pass them on, for otherwise no copy would ever be equal.
    pub(super) fn of(source: &FileStat, giver: &Giver) -> Self {
        Self {
            kind: kind(source),
            mode: mode(source),
            uid: giver.owner(source.st_uid),
            gid: giver.group(source.st_gid),
            mtime: mtime(source),
        }
    }

    /// The owner and the group are to be whoever makes the copy.
    pub(super) fn of_anybody(source: &FileStat) -> Self {
        Self { kind: kind(source), mode: mode(source), uid: None, gid: None, mtime: mtime(source) }
    }

    /// Whether `found` has the same type, permissions and owner.
    pub(super) fn same_access(&self, found: &FileStat) -> bool {
        (self.kind, self.mode) == (kind(found), mode(found)) && self.another_owner(found) == (None, None)
    }

    /// Whether `found` was last modified at the same nanosecond.
    pub(super) fn same_time(&self, found: &FileStat) -> bool {
        self.mtime == mtime(found)
    }

    /// The owner and the group that `found` would have to get.
    fn another_owner(&self, found: &FileStat) -> (Option<Uid>, Option<Gid>) {
        let uid = self.uid.filter(|uid| uid.as_raw() != found.st_uid);
        let gid = self.gid.filter(|gid| gid.as_raw() != found.st_gid);
        (uid, gid)
    }

    /// Gives them to an open file or directory that is as `now` says. The owner goes first: `chown` clears the setuid bit.
    pub(super) fn give(&self, opened: impl AsFd, now: &FileStat) -> io::Result<()> {
        let (uid, gid) = self.another_owner(now);
        let given = uid.is_some() || gid.is_some();
        if given {
            fchown(&opened, uid, gid)?;
        }
        if given || mode(now) != self.mode {
            fchmod(&opened, self.mode)?;
        }
        Ok(futimens(&opened, &TimeSpec::UTIME_OMIT, &self.mtime)?)
    }

    /// Gives them to what cannot be opened: a new link or FIFO.
    pub(super) fn give_at(&self, directory: &Directory, name: &OsStr) -> io::Result<()> {
        let (uid, gid) = self.another_owner(&directory.look(name)?);
        if uid.is_some() || gid.is_some() {
            fchownat(directory, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        if self.kind != SFlag::S_IFLNK {
            fchmodat(directory, name, self.mode, FchmodatFlags::FollowSymlink)?;
        }
        let flag = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(directory, name, &TimeSpec::UTIME_OMIT, &self.mtime, flag)?)
    }
}

/// Sets when `path` itself was last modified, in seconds of the epoch; a link is not followed.
pub(in crate::system) fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let time = TimeSpec::new(seconds, nanoseconds);
    let flag = UtimensatFlags::NoFollowSymlink;
    utimensat(AT_FDCWD, path, &TimeSpec::UTIME_OMIT, &time, flag)?;
    Ok(())
}
