use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::{FchmodatFlags, SFlag, fchmodat};

use super::TreeError;
use super::crew::{MOST, Worker, share};
use super::directory::{Directory, WRITE, kind, mode, size};

/// The regular files of a sealed tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// All of them, also those that could not be written before.
    pub files: usize,
    /// Their sizes added up.
    pub bytes: u64,
}

/// Takes from everybody the right to write the regular files below `tree`; directories keep their modes, and links
/// are not followed.
///
/// # Errors
/// What stops it at a path, which the error names. Some of the files are sealed then.
pub fn seal(tree: &Path) -> Result<Sealed, TreeError> {
    let sealed = Mutex::new(Sealed::default());
    share(vec![tree.to_owned()], MOST, |path, worker| directory(path, worker, &sealed))?;
    Ok(sealed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn directory(path: PathBuf, worker: &Worker<PathBuf>, sum: &Mutex<Sealed>) -> Result<usize, TreeError> {
    let directory = Directory::open(path)?;
    let names = directory.names()?;
    let mut directories = Vec::new();
    let mut sealed = Sealed::default();
    for name in &names {
        let found = directory.look(name).map_err(|e| TreeError::new("look at", &directory.at(name), e))?;
        match kind(&found) {
            SFlag::S_IFDIR => directories.push(directory.at(name)),
            SFlag::S_IFREG => {
                sealed.files += 1;
                sealed.bytes += size(&found);
                if mode(&found).intersects(WRITE) {
                    let mode = mode(&found) - WRITE;
                    let set = fchmodat(&directory, name.as_os_str(), mode, FchmodatFlags::FollowSymlink);
                    set.map_err(|e| TreeError::new("seal", &directory.at(name), e.into()))?;
                }
            }
            _ => {}
        }
        worker.check("seal", &directory.path)?;
    }
    worker.add(directories);
    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    sum.files += sealed.files;
    sum.bytes += sealed.bytes;
    Ok(names.len())
}
