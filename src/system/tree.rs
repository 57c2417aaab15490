//! Copies a source tree into a build as `rsync -a` keeps it, and never leaves half a file under a final name; clones
//! finished trees, whose files builds may share.

mod attributes;
mod clone;
mod contents;
mod copy;
mod crew;
mod directory;
mod list;
mod own;
mod place;
mod remove;
mod seal;
mod selection;

#[cfg(test)]
pub(crate) mod scratch;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

pub use crate::model::pattern::Excludes;
pub(super) use attributes::set_mtime;
pub use clone::{Cloned, Sharing, clone};
pub use copy::{Copied, copy};
pub use crew::MOST;
pub use list::list;
pub use own::{is_aside, own, share_blocks};
pub use remove::{remove_all, remove_gone};
pub use seal::seal;
pub use selection::{Selection, everything, listed};

/// A step on one path that failed. The reason is its [`source`](Error::source).
#[derive(Debug)]
pub struct TreeError {
    /// What was being done, as a verb that takes the path: `copy`, `remove`.
    pub action: &'static str,
    /// The path that it was being done to.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl TreeError {
    pub(super) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    pub(super) fn because(action: &'static str, path: &Path, kind: io::ErrorKind, why: &'static str) -> Self {
        Self::new(action, path, io::Error::new(kind, why))
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Debug form: a newline or a byte that is not UTF-8 in a name must not garble the message.
        write!(f, "cannot {} {:?}", self.action, self.path)
    }
}

impl Error for TreeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// What lies at `path` itself, a link not followed; `None` if nothing does.
fn there(path: &Path) -> Result<Option<fs::Metadata>, TreeError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(e) if absent(&e) => Ok(None),
        Err(e) => Err(TreeError::new("look at", path, e)),
    }
}

/// `path` without a slash at its end, which would have the kernel follow a link there.
fn itself(path: &Path) -> &Path {
    path.components().as_path()
}

/// Also true below what has become a file: `a/b` is not there if `a` is no directory.
fn absent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Makes `target` unless it is a directory already. A link there is refused: it could lead into another build.
pub(super) fn make_target(target: &Path) -> Result<(), TreeError> {
    match there(itself(target))? {
        Some(found) if found.is_dir() => Ok(()),
        Some(_) => Err(TreeError::because("copy into", target, io::ErrorKind::NotADirectory, "it is not a directory")),
        None => fs::create_dir_all(target).map_err(|e| TreeError::new("create", target, e)),
    }
}
