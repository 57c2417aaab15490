use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::readlinkat;
use nix::sys::stat::SFlag;

use super::TreeError;
use super::crew::{MOST, Worker, share};
use super::directory::{Directory, kind, mode, mtime, size};
use crate::model::listing::Seen;

/// What there is below `tree` but for directories, in no order; each path begins with `prefix`. The directories `without`,
/// seen from the top, are left out.
///
/// # Errors
/// What stops it at a path, which the error names.
pub fn list(tree: &Path, prefix: &Path, without: &[&Path]) -> Result<Vec<(PathBuf, Seen)>, TreeError> {
    let all = Mutex::new(Vec::new());
    share(vec![PathBuf::new()], MOST, |below: PathBuf, worker: &Worker<PathBuf>| {
        let directory = Directory::open(tree.join(&below))?;
        let names = directory.names()?;
        let (mut seen, mut directories) = (Vec::with_capacity(names.len()), Vec::new());
        for name in &names {
            let failed = |e| TreeError::new("look at", &directory.at(name), e);
            let found = directory.look(name).map_err(failed)?;
            let what = match kind(&found) {
                SFlag::S_IFDIR => {
                    let path = below.join(name);
                    if !without.contains(&path.as_path()) {
                        directories.push(path);
                    }
                    continue;
                }
                SFlag::S_IFREG => {
                    let modified = mtime(&found);
                    let modified = (modified.tv_sec(), modified.tv_nsec());
                    Seen::File { mode: mode(&found).bits(), size: size(&found), modified }
                }
                SFlag::S_IFLNK => {
                    let target = readlinkat(&directory, name.as_os_str()).map_err(|e| failed(e.into()))?;
                    Seen::Link(target.into())
                }
                _ => Seen::Other,
            };
            seen.push((prefix.join(&below).join(name), what));
        }
        worker.check("look at", &directory.path)?;
        worker.add(directories);
        all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut seen);
        Ok(names.len())
    })?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}
