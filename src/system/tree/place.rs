use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{readlinkat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, mkdirat};
use nix::unistd::{mkfifoat, symlinkat};

use super::attributes::{Attributes, Giver};
use super::contents::Writer;
use super::crew::MOST;
use super::directory::{Directory, PERMISSIONS, kind, mode, size};
use super::{Selection, TreeError, absent, remove_all};

/// For each thread the name of what it is writing, which nothing in the selection has.
pub(super) struct Asides([OsString; MOST]);

impl Asides {
    pub(super) fn unlike(selection: &Selection) -> Self {
        let mut stem = OsString::from(".builds-copy~");
        let taken = |path: &Path, stem: &OsString| split(path).1.as_bytes().starts_with(stem.as_bytes());
        while selection.iter().any(|path| taken(path, &stem)) {
            stem.push("~");
        }
        Self(std::array::from_fn(|number| {
            let mut name = stem.clone();
            if number > 0 {
                name.push(number.to_string());
            }
            name
        }))
    }

    pub(super) fn of(&self, worker: usize) -> &OsStr {
        &self.0[worker]
    }
}

/// A directory on both sides of a copy.
pub(super) struct Place {
    pub(super) source: Directory,
    pub(super) target: Directory,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was there before.
    Old,
    /// This copy has made it: nothing is there but what it puts there, and nobody else can reach that yet.
    New,
    /// New, and still under a temporary name, so that what is in it can have final names at once.
    Hidden,
}

/// What a copy did for an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It was the same before.
    Nothing,
    Written,
    /// Written, with blocks of the source.
    Shared,
}

impl Place {
    /// A target that may hold something, without what an interrupted copy left there under the temporary names.
    pub(super) fn old(source: Directory, target: Directory, asides: &Asides) -> Result<Self, TreeError> {
        let place = Self { source, target, state: State::Old };
        asides.0.iter().try_for_each(|aside| place.discard(aside))?;
        Ok(place)
    }

    /// Opens a directory on both sides, or makes it if it is new.
    pub(super) fn enter(&self, name: &OsStr, new: bool, asides: &Asides) -> Result<Self, TreeError> {
        let source = self.source_of(name)?;
        if new {
            return Ok(Self { source, target: self.make(name)?, state: State::New });
        }
        Self::old(source, self.target.enter(name)?, asides)
    }

    /// Makes a new directory that gets its name once `fill` has put into it all but its directories.
    pub(super) fn publish<T>(
        &self,
        name: &OsStr,
        aside: &OsStr,
        fill: impl FnOnce(Self) -> Result<T, TreeError>,
    ) -> Result<T, TreeError> {
        let source = self.source_of(name)?;
        let filled = self.make(aside).and_then(|mut target| {
            // Where those will find it who go on in it.
            target.path = self.target.at(name);
            fill(Self { source, target, state: State::Hidden })
        });
        self.rename(aside, name, filled)
    }

    fn source_of(&self, name: &OsStr) -> Result<Directory, TreeError> {
        self.source.enter(name).map_err(|e| vanished(&e.path, e.source))
    }

    /// Closed to others until it has the source's mode: what it will hold may be secret.
    fn make(&self, name: &OsStr) -> Result<Directory, TreeError> {
        let made = mkdirat(&self.target, name, Mode::S_IRWXU);
        made.map_err(|e| TreeError::new("create", &self.target.at(name), e.into()))?;
        self.target.enter(name)
    }

    /// Gives what has been written its name, or removes it if that failed.
    fn rename<T>(&self, aside: &OsStr, name: &OsStr, written: Result<T, TreeError>) -> Result<T, TreeError> {
        let named = written.and_then(|done| {
            let renamed = renameat(&self.target, aside, &self.target, name);
            renamed.map_err(|e| TreeError::new("replace", &self.target.at(name), e.into())).map(|()| done)
        });
        if named.is_err() {
            // The first error is the one to report; the next copy tries again to remove this.
            drop(self.discard(aside));
        }
        named
    }

    /// What the target has under a name.
    pub(super) fn look(&self, name: &OsStr) -> Result<Option<FileStat>, TreeError> {
        if self.state != State::Old {
            return Ok(None);
        }
        match self.target.look(name) {
            Ok(found) => Ok(Some(found)),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(TreeError::new("look at", &self.target.at(name), e)),
        }
    }

    /// Makes a directory that is there ready to be written in, and removes anything else; whether a new one is needed.
    pub(super) fn clear_for_directory(&self, name: &OsStr, old: Option<&FileStat>) -> Result<bool, TreeError> {
        let to = || self.target.at(name);
        match old {
            Some(old) if kind(old) == SFlag::S_IFDIR => {
                if !mode(old).contains(Mode::S_IRWXU) {
                    let opened = fchmodat(&self.target, name, mode(old) | Mode::S_IRWXU, FchmodatFlags::FollowSymlink);
                    opened.map_err(|e| TreeError::new("make writable", &to(), e.into()))?;
                }
                Ok(false)
            }
            Some(_) => remove_all(&to()).map(|()| true),
            None => Ok(true),
        }
    }

    /// Makes a file, link or FIFO the same in the target, where it is not.
    pub(super) fn entry(
        &self,
        name: &OsStr,
        (found, old): (&FileStat, Option<&FileStat>),
        giver: &Giver,
        aside: &OsStr,
        writer: &mut Writer,
    ) -> Result<Done, TreeError> {
        if let Some(old) = old
            && self.equal(name, found, old, giver)?
        {
            return Ok(Done::Nothing);
        }
        if self.state == State::Hidden {
            return self.write(name, found, giver, name, writer);
        }
        let written = self.write(name, found, giver, aside, writer).and_then(|done| {
            // Nothing but a directory can be renamed over a directory.
            match old {
                Some(old) if kind(old) == SFlag::S_IFDIR => remove_all(&self.target.at(name)).map(|()| done),
                _ => Ok(done),
            }
        });
        self.rename(aside, name, written)
    }

    fn equal(&self, name: &OsStr, found: &FileStat, old: &FileStat, giver: &Giver) -> Result<bool, TreeError> {
        let attributes = Attributes::of(found, giver);
        if !(attributes.same_access(old) && attributes.same_time(old) && size(found) == size(old)) {
            return Ok(false);
        }
        Ok(kind(found) != SFlag::S_IFLNK || link(&self.source, name)? == link(&self.target, name)?)
    }

    fn write(
        &self,
        name: &OsStr,
        found: &FileStat,
        giver: &Giver,
        aside: &OsStr,
        writer: &mut Writer,
    ) -> Result<Done, TreeError> {
        let creating = |e: Errno| TreeError::new("create", &self.target.at(aside), e.into());
        let giving = |e| TreeError::new("set mode, owner and time of", &self.target.at(aside), e);
        match kind(found) {
            SFlag::S_IFLNK => {
                symlinkat(link(&self.source, name)?.as_os_str(), &self.target, aside).map_err(creating)?
            }
            SFlag::S_IFIFO => mkfifoat(&self.target, aside, Mode::S_IRUSR | Mode::S_IWUSR).map_err(creating)?,
            _ => {
                // Where nobody else can reach it, a new file may have its own permissions from the start.
                let own = self.state != State::Old;
                let open = if own { mode(found) & PERMISSIONS } else { Mode::S_IRUSR | Mode::S_IWUSR };
                let copied = writer.copy((&self.source, name, *found), (&self.target, aside, open));
                let written = copied.map_err(|e| vanished(&self.source.at(name), e))?;
                let attributes = Attributes::of(&written.source, giver);
                let now = fstat(&written.file).map_err(|e| giving(e.into()))?;
                attributes.give(&written.file, &now).map_err(giving)?;
                return Ok(if written.shared { Done::Shared } else { Done::Written });
            }
        }
        Attributes::of(found, giver).give_at(&self.target, aside).map_err(giving)?;
        Ok(Done::Written)
    }

    /// Removes what was being written under a temporary name.
    fn discard(&self, aside: &OsStr) -> Result<(), TreeError> {
        match self.target.remove(aside) {
            Err(e) if e.kind() == io::ErrorKind::IsADirectory => remove_all(&self.target.at(aside)),
            Err(e) => Err(TreeError::new("remove", &self.target.at(aside), e)),
            Ok(()) => Ok(()),
        }
    }
}

fn link(directory: &Directory, name: &OsStr) -> Result<OsString, TreeError> {
    readlinkat(directory, name).map_err(|e| TreeError::new("read the link", &directory.at(name), e.into()))
}

/// The directory of a path in a selection, empty for the source's own, and the name in it.
pub(super) fn split(path: &Path) -> (&OsStr, &OsStr) {
    let bytes = path.as_os_str().as_bytes();
    let (parent, name) = match bytes.iter().rposition(|&b| b == b'/') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (&[][..], bytes),
    };
    (OsStr::from_bytes(parent), OsStr::from_bytes(name))
}

pub(super) fn vanished(path: &Path, e: io::Error) -> TreeError {
    match absent(&e) {
        true => TreeError::because("copy", path, io::ErrorKind::NotFound, "it has vanished since it was listed"),
        false => TreeError::new("copy", path, e),
    }
}
