use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, getegid, geteuid, getgroups};

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

    fn owner(&self, uid: u32) -> Option<u32> {
        self.root.then_some(uid)
    }

    fn group(&self, gid: u32) -> Option<u32> {
        (self.root || self.groups.contains(&Gid::from_raw(gid))).then_some(gid)
    }
}

/// What a copy keeps of a file besides its content.
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    /// The type's bits and the permissions, as in `st_mode`.
    pub(super) mode: u32,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: i64,
    nanoseconds: i64,
}

impl Attributes {
    /// Owner and group only so far as `giver` can pass them on, for otherwise no copy would ever be equal.
    pub(super) fn of(source: &Metadata, giver: &Giver) -> Self {
        Self {
            mode: source.mode(),
            uid: giver.owner(source.uid()),
            gid: giver.group(source.gid()),
            mtime: source.mtime(),
            nanoseconds: source.mtime_nsec(),
        }
    }

    /// Whether `found` has the same type, permissions and owner.
    pub(super) fn same_access(&self, found: &Metadata) -> bool {
        self.mode == found.mode()
            && self.uid.is_none_or(|uid| uid == found.uid())
            && self.gid.is_none_or(|gid| gid == found.gid())
    }

    /// Whether `found` was last modified at the same nanosecond.
    pub(super) fn same_time(&self, found: &Metadata) -> bool {
        (self.mtime, self.nanoseconds) == (found.mtime(), found.mtime_nsec())
    }

    /// Gives them to what lies at `path` itself. The owner goes first: `chown` clears the setuid bit.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        let now = fs::symlink_metadata(path)?;
        let uid = self.uid.filter(|&uid| uid != now.uid());
        let gid = self.gid.filter(|&gid| gid != now.gid());
        if uid.is_some() || gid.is_some() {
            lchown(path, uid, gid)?;
        }
        if !now.is_symlink() {
            fs::set_permissions(path, Permissions::from_mode(self.mode & 0o7777))?;
        }
        set_mtime(path, self.mtime, self.nanoseconds)
    }
}

/// Sets when `path` itself was last modified, in seconds of the epoch; a link is not followed.
pub(in crate::system) fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) -> io::Result<()> {
    let time = TimeSpec::new(seconds, nanoseconds);
    let flag = UtimensatFlags::NoFollowSymlink;
    utimensat(AT_FDCWD, path, &TimeSpec::UTIME_OMIT, &time, flag)?;
    Ok(())
}
