use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstatat};

use super::super::tree::TreeError;
use super::lfs::pointers;
use super::{GitError, SUBMODULE, entry_path, git, paths};

/// What git tracks below a source, relative to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// The files that are in the work tree, those of submodules included. Where one was deleted, or a directory or a link
    /// has taken its or its directory's place, it is left out.
    pub files: Vec<PathBuf>,
    /// The submodules whose files are not there, since they were not checked out or git does not know them as such.
    pub missing: Vec<PathBuf>,
    /// The files that are pointers of Git LFS, since it has not fetched their content.
    pub pointers: Vec<PathBuf>,
}

/// What git tracks below `source`; `None` if it lies in no work tree, or has no tracked files. Without git installed nothing
/// lies in one.
///
/// # Errors
/// A repository that git refuses to read, such as one of another user, and a file that cannot be looked at.
pub fn tracked(source: &Path) -> Result<Option<Tracked>, GitError> {
    let list = match git(&[&"ls-files", &"-z", &"--cached", &"--recurse-submodules"], source, &[]) {
        Ok(list) => list,
        Err(error) if error.is_no_repository() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut files: Vec<_> = paths(&list).map(Path::to_owned).collect();
    // A file in conflict is listed once for each side.
    files.dedup_by(|a, b| a.as_os_str() == b.as_os_str());
    if files.is_empty() {
        return Ok(None);
    }
    let (files, directories) = present(source, files)?;
    let (missing, pointers) = (submodules(source, &directories)?, pointers(source, &files)?);
    Ok(Some(Tracked { files, missing, pointers }))
}

/// Those of `files` that are there and no directories, and those that are directories.
fn present(source: &Path, files: Vec<PathBuf>) -> Result<(Vec<PathBuf>, Vec<PathBuf>), GitError> {
    let mut places = Places { source, real: HashMap::new() };
    let (mut present, mut directories) = (Vec::with_capacity(files.len()), Vec::new());
    // Looked up from their open directory, which most files share with the one before, they take half the time.
    let mut last: Option<(PathBuf, Option<OwnedFd>)> = None;
    for file in files {
        let (parent, name) = (file.parent().unwrap_or(&file), file.file_name().unwrap_or_default());
        if last.as_ref().is_none_or(|(path, _)| path.as_os_str() != parent.as_os_str()) {
            last = Some((parent.to_owned(), places.open(parent)?));
        }
        let Some((_, Some(directory))) = &last else {
            continue;
        };
        match is_directory(directory, name).map_err(|e| looking(&source.join(&file), e))? {
            Some(false) => present.push(file),
            Some(true) => directories.push(file),
            None => {}
        }
    }
    Ok((present, directories))
}

/// Those of `directories` that are no files to git either, but submodules. They may be submodules of submodules, so the
/// repository that knows is the one of the directory above.
fn submodules(source: &Path, directories: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
    let mut submodules = Vec::new();
    let parents: BTreeSet<_> = directories.iter().filter_map(|path| path.parent()).collect();
    for parent in parents {
        let staged = git(&[&"ls-files", &"-z", &"--stage"], &source.join(parent), &[])?;
        let listed = staged.split(|&b| b == 0).filter(|entry| entry.starts_with(SUBMODULE));
        let here = listed.map(entry_path).filter(|path| path.components().count() == 1).map(|path| parent.join(path));
        submodules.extend(here.filter(|path| directories.contains(path)));
    }
    Ok(submodules)
}

/// The directories of tracked files.
struct Places<'a> {
    source: &'a Path,
    /// Which of them, relative to the source, are directories as all above them, and not links, as git demands.
    real: HashMap<PathBuf, bool>,
}

impl Places<'_> {
    fn open(&mut self, path: &Path) -> Result<Option<OwnedFd>, GitError> {
        if !self.real(path)? {
            return Ok(None);
        }
        let place = self.source.join(path);
        let opened = open(&place, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        opened.map(Some).map_err(|e| looking(&place, e))
    }

    fn real(&mut self, path: &Path) -> Result<bool, GitError> {
        let Some(parent) = path.parent() else {
            return Ok(true);
        };
        if let Some(&real) = self.real.get(path) {
            return Ok(real);
        }
        let place = self.source.join(path);
        let at = nix::fcntl::AT_FDCWD;
        let real =
            self.real(parent)? && is_directory(at, place.as_os_str()).map_err(|e| looking(&place, e))? == Some(true);
        self.real.insert(path.to_owned(), real);
        Ok(real)
    }
}

/// `None` if nothing is there.
fn is_directory(at: impl std::os::fd::AsFd, name: &OsStr) -> nix::Result<Option<bool>> {
    match fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

fn looking(path: &Path, e: Errno) -> GitError {
    TreeError::new("look at", path, e.into()).into()
}
