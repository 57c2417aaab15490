use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{linkat, symlinkat};

use super::TreeError;
use super::attributes::Attributes;
use super::contents::Writer;
use super::crew::{Worker, share};
use super::directory::{Directory, PERMISSIONS, WRITE, kind, mode, size};

/// How the files of a clone come by their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Files of their own that share the blocks on the disk, as long as neither is written.
    Blocks,
    /// Other names of the same files, but copies of those that somebody may write.
    Links,
    /// Copies.
    Nothing,
}

/// What a clone holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cloned {
    /// Regular files.
    pub files: usize,
    /// Their sizes added up.
    pub bytes: u64,
    /// So many of these bytes take no room of their own: linked, or in shared blocks.
    pub shared: u64,
}

/// Makes `to`, which must not exist, the same tree as `from`, which nobody may change meanwhile: modes, modification
/// times and the texts of links. The files and directories belong to this process, but for those that are linked.
///
/// A file that cannot be shared, for whatever reason, is copied. At most so many `threads` do it.
///
/// # Errors
/// What stops it at a path, which the error names; also anything but files, directories and links. What was made
/// until then stays, for the caller to remove.
pub fn clone(from: &Path, to: &Path, how: Sharing, threads: usize) -> Result<Cloned, TreeError> {
    // Open to nobody else until it has its own mode.
    DirBuilder::new().mode(0o700).create(to).map_err(|e| TreeError::new("create", to, e))?;
    let sharing = AtomicBool::new(how == Sharing::Blocks);
    let run = Run { from, to, how, sharing, cloned: Mutex::default() };
    share(vec![PathBuf::new()], threads, |directory, worker| run.directory(&directory, worker))?;
    Ok(run.cloned.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Run<'a> {
    from: &'a Path,
    to: &'a Path,
    how: Sharing,
    /// Whether blocks are to be shared, and can be for all that is known.
    sharing: AtomicBool,
    cloned: Mutex<Cloned>,
}

impl Run<'_> {
    /// Fills a directory, which is there already. What it holds is all made then, so it gets its mode and time at once;
    /// where it cannot be searched with that mode, neither can the source.
    fn directory(&self, below: &Path, worker: &Worker<PathBuf>) -> Result<usize, TreeError> {
        let source = Directory::open(self.from.join(below))?;
        let target = Directory::open(self.to.join(below))?;
        let names = source.names()?;
        let mut writer = Writer::new(&self.sharing);
        let mut directories = Vec::new();
        let mut cloned = Cloned::default();
        for name in &names {
            let found = source.look(name).map_err(|e| TreeError::new("look at", &source.at(name), e))?;
            let made = match kind(&found) {
                SFlag::S_IFREG => self.file(&source, &target, (name, &found), &mut writer).map(|shared| {
                    cloned.files += 1;
                    cloned.bytes += size(&found);
                    cloned.shared += if shared { size(&found) } else { 0 };
                }),
                SFlag::S_IFLNK => link(&source, &target, name, &found),
                SFlag::S_IFDIR => {
                    mkdirat(&target, name.as_os_str(), Mode::S_IRWXU).map_err(io::Error::from).map(|()| {
                        directories.push(below.join(name));
                    })
                }
                _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is no file, directory or link")),
            };
            made.map_err(|e| TreeError::new("clone", &source.at(name), e))?;
            worker.check("clone", &source.path)?;
        }
        worker.add(directories);
        let set = Attributes::of_anybody(&source.stat()?).give(&target, &target.stat()?);
        set.map_err(|e| TreeError::new("set mode and time of", &target.path, e))?;
        let mut sum = self.cloned.lock().unwrap_or_else(PoisonError::into_inner);
        sum.files += cloned.files;
        sum.bytes += cloned.bytes;
        sum.shared += cloned.shared;
        Ok(names.len())
    }

    /// Makes a file, and returns whether it takes no room of its own.
    fn file(
        &self,
        source: &Directory,
        target: &Directory,
        (name, found): (&OsStr, &FileStat),
        writer: &mut Writer,
    ) -> io::Result<bool> {
        let linkable = self.how == Sharing::Links && !mode(found).intersects(WRITE);
        if linkable && linkat(source, name, target, name, AtFlags::empty()).is_ok() {
            return Ok(true);
        }
        // Nobody else can reach it yet, so it may have its own permissions from the start.
        let written = writer.copy((source, name, *found), (target, name, mode(found) & PERMISSIONS))?;
        Attributes::of_anybody(found).give(&written.file, &fstat(&written.file)?)?;
        Ok(written.shared)
    }
}

fn link(source: &Directory, target: &Directory, name: &OsStr, found: &FileStat) -> io::Result<()> {
    symlinkat(readlinkat(source, name)?.as_os_str(), target, name)?;
    Attributes::of_anybody(found).give_at(target, name)
}
