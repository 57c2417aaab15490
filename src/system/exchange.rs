//! Two links that change places at one instant, also where the file system has no call for that.
//!
//! Some file systems (NFS, some of FUSE) refuse `RENAME_EXCHANGE`. Two renames, one after the other, would let both links
//! name the same build for an instant, or for good if the machine stops between them. But one rename can move two links
//! where both lead through a third one:
//!
//! ```text
//! _live  -> .exchange/_live        .exchange -> .exchange-1        .exchange-1/_live -> ../a   _stage -> ../b
//! _stage -> .exchange/_stage                or -> .exchange-2      .exchange-2/_live -> ../b   _stage -> ../a
//! ```
//!
//! The order, each step synced before the next: both directories are filled, `.exchange` is pointed at the one that says
//! what holds now, and the two links through it, which changes nothing for whoever follows them. Then one rename points
//! `.exchange` at the other directory: this is the exchange. Last, the links get their plain targets, which changes nothing
//! either. So everybody who follows the links sees two different builds at every instant, and a command that is cut leaves
//! them as they were or exchanged, never between. Readers of the links go by [`target`]; the next command that moves names
//! calls [`settle`].
//!
//! `.exchange` and its directories stay: a request that has read `_live -> .exchange/_live` may be about to follow it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::files::{self, sync_parent};
use crate::error::{Error, Result};

const TURN: &str = ".exchange";
const SIDES: [&str; 2] = [".exchange-1", ".exchange-2"];

/// Lets two links in one directory change places at one instant.
///
/// # Errors
/// Both are what they were.
pub fn exchange(one: &Path, other: &Path) -> Result<()> {
    let swap = || renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE);
    let failed = Error::io("exchange two links", one);
    match swap() {
        Ok(()) => sync_parent(one).inspect_err(|_| _ = swap()).map_err(failed),
        // The file system, or what stands between it and this process, has no exchange.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            let exchanged = by_one_rename(one, other);
            // What fails here, the next command does: the links lead to the right builds.
            for link in [one, other] {
                settle(link).ok();
            }
            exchanged
        }
        Err(errno) => Err(failed(errno.into())),
    }
}

fn by_one_rename(one: &Path, other: &Path) -> Result<()> {
    let read = |link: &Path| target(link).map_err(Error::io("read the link", link));
    let (first, second) = (read(one)?, read(other)?);
    let turn = one.with_file_name(TURN);
    // What `.exchange` points at may be in use since an exchange that was cut; it is filled with what it says already.
    let now = fs::read_link(&turn).ok();
    let [before, after] = if now.is_some_and(|now| now == Path::new(SIDES[1])) { [SIDES[1], SIDES[0]] } else { SIDES };
    for (side, targets) in [(before, [&first, &second]), (after, [&second, &first])] {
        let side = one.with_file_name(side);
        files::directory(&side)?;
        for (link, target) in [one, other].into_iter().zip(targets) {
            files::link(&Path::new("..").join(target), &side.join(link.file_name().unwrap_or_default()))?;
        }
    }
    files::link(Path::new(before), &turn)?;
    for link in [one, other] {
        files::link(&Path::new(TURN).join(link.file_name().unwrap_or_default()), link)?;
    }
    files::link(Path::new(after), &turn)
}

/// The directories that an exchange in `directory` writes into.
pub fn places(directory: &Path) -> [PathBuf; 3] {
    [directory.to_owned(), directory.join(SIDES[0]), directory.join(SIDES[1])]
}

/// What a link says, also one that leads through `.exchange`.
///
/// # Errors
/// It is missing or no link.
pub fn target(link: &Path) -> io::Result<PathBuf> {
    let target = fs::read_link(link)?;
    if !target.starts_with(TURN) {
        return Ok(target);
    }
    match fs::read_link(link.with_file_name(&target)) {
        Ok(end) => Ok(end.strip_prefix("..").map(Path::to_owned).unwrap_or(end)),
        // Not missing: somebody has taken away what it leads through.
        Err(_) => Ok(target),
    }
}

/// Gives a link its plain target again, if an exchange was cut before it did.
///
/// # Errors
/// It is as it was, and leads to the same.
pub fn settle(link: &Path) -> Result<()> {
    match fs::read_link(link) {
        Ok(now) if now.starts_with(TURN) => {
            let plain = target(link).map_err(Error::io("read the link", link))?;
            files::link(&plain, link)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::system::tree::scratch::Scratch;

    #[test]
    fn two_links_change_places_by_one_rename_and_say_so_on_the_way() {
        let dir = Scratch::new();
        let (live, stage) = (dir.join("_live"), dir.join("_stage"));
        symlink("a", &live).unwrap();
        symlink("b", &stage).unwrap();
        for (one, other) in [("b", "a"), ("a", "b"), ("b", "a")] {
            by_one_rename(&live, &stage).unwrap();
            // As a kill leaves them here.
            assert!(fs::read_link(&live).unwrap().starts_with(TURN));
            assert_eq!((target(&live).unwrap(), target(&stage).unwrap()), (one.into(), other.into()));
            settle(&live).unwrap();
            assert_eq!(fs::read_link(&live).unwrap(), Path::new(one));
        }
        fs::remove_file(dir.join(TURN)).unwrap();
        assert!(target(&stage).unwrap().starts_with(TURN), "no build, and not missing");
    }
}
