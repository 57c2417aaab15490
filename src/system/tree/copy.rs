use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::super::signals;
use super::attributes::{Attributes, Giver};
use super::{Selection, TreeError, absent, make_target, remove_all, there};

/// How often a file is read again that changes under the reader's hands.
const ATTEMPTS: usize = 3;

/// What a copy found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The files, links and FIFOs that the target now has from the source, whether written now or before.
    pub files: usize,
    /// The sizes of those files added up, in bytes.
    pub bytes: u64,
    /// The entries that this copy wrote: files, links, FIFOs, and directories that were missing or whose mode or
    /// owner differed. A directory's time alone does not count, since everything written in it moves that.
    pub changed: usize,
    /// The sockets and devices that were left out, relative to the source.
    pub skipped: Vec<PathBuf>,
}

/// Makes what `selection` takes from `source` the same in `target`, which is created if it is missing.
///
/// Content, type, mode and modification time become equal to the nanosecond; owner and group too so far as the
/// process may give them, which root always may. The target itself gets the source's own, but always lets its owner
/// write. Links are copied as links. What the target has besides is left alone.
///
/// A file that has the source's type, mode, owner, time and size is taken to be equal; any other is written under
/// another name beside it, given its attributes, and renamed. So an existing inode is never written to, a copy that
/// was cut off goes on where it stopped, and no half file bears a final name. `progress` is told each relative path
/// before its turn.
///
/// # Errors
/// Whatever stops it at a path, which the error names; also a file that has vanished since it was selected, or
/// that changes each time it is read. What was copied until then stays.
pub fn copy(
    source: &Path,
    selection: &Selection,
    target: &Path,
    progress: &mut dyn FnMut(&Path),
) -> Result<Copied, TreeError> {
    let mut aside = OsString::from(".builds-copy~");
    while selection.iter().any(|path| path.file_name() == Some(&aside)) {
        aside.push("~");
    }
    let mut run = Run {
        source,
        target,
        aside,
        giver: Giver::this_process(),
        directories: Vec::new(),
        real: HashSet::new(),
        copied: Copied::default(),
    };
    run.root()?;
    for path in selection.iter() {
        signals::check().map_err(|_| TreeError::because("copy", path, ErrorKind::Interrupted, "a signal came"))?;
        progress(path);
        run.entry(path)?;
    }
    run.finish()
}

struct Run<'a> {
    source: &'a Path,
    target: &'a Path,
    /// The name for what is being written, which nothing in the selection has.
    aside: OsString,
    giver: Giver,
    /// Directories in the target, and what they get once all that they hold is in.
    directories: Vec<(PathBuf, Attributes)>,
    /// The relative paths that are directories on both sides, so that what lies below cannot lead elsewhere.
    real: HashSet<&'a Path>,
    copied: Copied,
}

impl<'a> Run<'a> {
    fn root(&mut self) -> Result<(), TreeError> {
        make_target(self.target)?;
        let found = fs::metadata(self.source).map_err(|e| TreeError::new("read the source", self.source, e))?;
        let mut attributes = Attributes::of(&found, &self.giver);
        attributes.mode |= 0o700;
        self.enter(self.target)?;
        self.directories.push((self.target.to_owned(), attributes));
        Ok(())
    }

    fn entry(&mut self, path: &'a Path) -> Result<(), TreeError> {
        let from = self.source.join(path);
        let to = self.target.join(path);
        let parent = path.parent().unwrap_or(path);
        if !parent.as_os_str().is_empty() && !self.real.contains(parent) {
            let why = "the directory that holds it is not one, or was not selected";
            return Err(TreeError::because("copy", &from, ErrorKind::NotADirectory, why));
        }
        let found = fs::symlink_metadata(&from).map_err(|e| vanished(&from, e))?;
        let old = there(&to)?;
        let kind = found.file_type();
        if kind.is_dir() {
            self.real.insert(path);
            return self.directory(to, &found, old.as_ref());
        }
        if !(kind.is_file() || kind.is_symlink() || kind.is_fifo()) {
            self.copied.skipped.push(path.to_owned());
            return Ok(());
        }
        self.copied.files += 1;
        if kind.is_file() {
            self.copied.bytes += found.len();
        }
        match old {
            Some(old) if self.equal(&found, &old, &from, &to)? => Ok(()),
            old => self.replace(&found, old.as_ref(), &from, &to),
        }
    }

    fn directory(&mut self, to: PathBuf, found: &Metadata, old: Option<&Metadata>) -> Result<(), TreeError> {
        let attributes = Attributes::of(found, &self.giver);
        if !old.is_some_and(|old| attributes.same_access(old)) {
            self.copied.changed += 1;
        }
        if old.is_some_and(Metadata::is_dir) {
            self.enter(&to)?;
        } else {
            if old.is_some() {
                remove_all(&to)?;
            }
            // Closed to others until it has the source's mode: what it holds may be secret.
            let made = DirBuilder::new().mode(0o700).create(&to);
            made.map_err(|e| TreeError::new("create", &to, e))?;
        }
        self.directories.push((to, attributes));
        Ok(())
    }

    /// Makes a directory that is there already ready to be written in.
    fn enter(&self, to: &Path) -> Result<(), TreeError> {
        let mode = fs::symlink_metadata(to).map_or(0, |m| m.mode());
        if mode & 0o700 != 0o700 {
            let opened = fs::set_permissions(to, Permissions::from_mode(mode & 0o7777 | 0o700));
            opened.map_err(|e| TreeError::new("make writable", to, e))?;
        }
        discard(&to.join(&self.aside))
    }

    fn equal(&self, found: &Metadata, old: &Metadata, from: &Path, to: &Path) -> Result<bool, TreeError> {
        let attributes = Attributes::of(found, &self.giver);
        if !(attributes.same_access(old) && attributes.same_time(old) && found.len() == old.len()) {
            return Ok(false);
        }
        Ok(!found.is_symlink() || link(from)? == link(to)?)
    }

    fn replace(&mut self, found: &Metadata, old: Option<&Metadata>, from: &Path, to: &Path) -> Result<(), TreeError> {
        let aside = to.with_file_name(&self.aside);
        let written = self.write(found, from, &aside).and_then(|()| {
            // Nothing but a directory can be renamed over a directory.
            if old.is_some_and(Metadata::is_dir) {
                remove_all(to)?;
            }
            fs::rename(&aside, to).map_err(|e| TreeError::new("replace", to, e))
        });
        if written.is_err() {
            // The first error is the one to report; the next copy tries again to remove this.
            let _ = fs::remove_file(&aside);
        }
        self.copied.changed += 1;
        written
    }

    fn write(&self, found: &Metadata, from: &Path, aside: &Path) -> Result<(), TreeError> {
        let creating = |e| TreeError::new("create", aside, e);
        let kind = found.file_type();
        let found = if kind.is_symlink() {
            symlink(link(from)?, aside).map_err(creating)?;
            found.clone()
        } else if kind.is_fifo() {
            mkfifo(aside, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|e| creating(e.into()))?;
            found.clone()
        } else {
            contents(from, aside)?
        };
        let given = Attributes::of(&found, &self.giver).give(aside);
        given.map_err(|e| TreeError::new("set mode, owner and time of", aside, e))
    }

    fn finish(self) -> Result<Copied, TreeError> {
        // What a directory holds comes before it: once it has its own mode, it may not be searched any more.
        for (path, attributes) in self.directories.iter().rev() {
            let failed = |e| TreeError::new("set mode, owner and time of", path, e);
            let now = fs::symlink_metadata(path).map_err(failed)?;
            if !(attributes.same_access(&now) && attributes.same_time(&now)) {
                attributes.give(path).map_err(failed)?;
            }
        }
        Ok(self.copied)
    }
}

/// Copies the content of `from` into a new file, and returns the state of `from` that it is a copy of.
///
/// `io::copy` hands both files to the kernel (`copy_file_range`), which shares the blocks where the file system can.
/// `fs::copy` would as well, but it writes into what already has the name, a link's target included.
fn contents(from: &Path, aside: &Path) -> Result<Metadata, TreeError> {
    // A link or FIFO that has just taken the file's place must neither be followed nor block.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    for _ in 0..ATTEMPTS {
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(from);
        let mut reader = opened.map_err(|e| vanished(from, e))?;
        let before = stat(&reader, from)?;
        if !before.is_file() {
            break;
        }
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside);
        let mut writer = created.map_err(|e| TreeError::new("create", aside, e))?;
        let length = io::copy(&mut reader, &mut writer).map_err(|e| TreeError::new("copy", from, e))?;
        let after = stat(&reader, from)?;
        let modified = |m: &Metadata| (m.mtime(), m.mtime_nsec());
        if length == after.len() && modified(&before) == modified(&after) {
            return Ok(after);
        }
        discard(aside)?;
    }
    Err(TreeError::because("copy", from, ErrorKind::InvalidData, "it changes while it is being copied"))
}

fn stat(file: &File, path: &Path) -> Result<Metadata, TreeError> {
    file.metadata().map_err(|e| TreeError::new("look at", path, e))
}

fn link(path: &Path) -> Result<PathBuf, TreeError> {
    fs::read_link(path).map_err(|e| TreeError::new("read the link", path, e))
}

fn vanished(path: &Path, e: io::Error) -> TreeError {
    match absent(&e) {
        true => TreeError::because("copy", path, ErrorKind::NotFound, "it has vanished since it was listed"),
        false => TreeError::new("copy", path, e),
    }
}

/// Removes what an interrupted copy left under the temporary name.
fn discard(aside: &Path) -> Result<(), TreeError> {
    match fs::remove_file(aside) {
        Err(e) if !absent(&e) => Err(TreeError::new("remove", aside, e)),
        _ => Ok(()),
    }
}
