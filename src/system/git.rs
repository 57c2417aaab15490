//! Which files a git source has, and the files of one of its commits.
//!
//! Nothing here changes a source's repository, its index or its work tree.

mod command;
mod export;
mod lfs;
mod log;
mod stamp;
mod tracked;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::tree::TreeError;
use command::git;

pub use export::{Commit, find};
pub use lfs::has_lfs;
pub use log::{Entry, between};
pub use stamp::stamp;
pub use tracked::{Tracked, tracked};

/// Why git did not do what was asked.
#[derive(Debug)]
pub enum GitError {
    /// It could not be started; `NotFound` means that it is not installed.
    Start(io::Error),
    /// It ran and failed.
    Failed {
        /// Its arguments, for people.
        command: String,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// Its own words, which for a repository of another user say what to type.
        said: String,
    },
    /// This can be no revision: it is empty, or would be read as an option.
    BadRevision(String),
    /// The repository of `source` has no such commit, or the commit no such directory.
    UnknownRevision {
        /// As it was given.
        revision: String,
        /// Where it was looked up.
        source: PathBuf,
    },
    /// The commit has submodules, whose files are not in its repository.
    Submodules {
        /// As it was given.
        revision: String,
        /// Relative to the source.
        paths: Vec<PathBuf>,
    },
    /// The work tree has submodules whose files are not there.
    NotCheckedOut {
        /// The work tree, or a directory of it.
        source: PathBuf,
        /// Relative to the source.
        paths: Vec<PathBuf>,
    },
    /// Files are pointers of Git LFS, not what they point to.
    Pointers {
        /// The work tree, or a directory of it.
        source: PathBuf,
        /// The commit that they come from, as it was given; else they are those of the work tree.
        revision: Option<String>,
        /// Relative to the source.
        paths: Vec<PathBuf>,
    },
    /// A file could not be handled.
    Tree(TreeError),
}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(e) if e.kind() == io::ErrorKind::NotFound => {
                write!(f, "git is not installed")
            }
            Self::Start(_) => write!(f, "git cannot be started"),
            Self::Failed { command, said, .. } => write!(f, "{command} failed: {said}"),
            Self::BadRevision(revision) => write!(f, "{revision:?} is not a git revision"),
            Self::UnknownRevision { revision, source } => {
                write!(f, "the git repository of {source:?} has no {revision:?}")
            }
            Self::Submodules { revision, paths } => {
                write!(f, "{revision:?} has submodules, whose files are not in its repository: {}", few(paths))
            }
            Self::Pointers { paths, .. } => {
                let (many, are) = if paths.len() == 1 { ("file", "is a pointer") } else { ("files", "are pointers") };
                write!(f, "{} {many} of Git LFS {are}, not the content: {}", paths.len(), few(paths))
            }
            Self::NotCheckedOut { paths, .. } => write!(f, "submodules are not checked out: {}", few(paths)),
            Self::Tree(e) => e.fmt(f),
        }
    }
}

impl Error for GitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start(e) => Some(e),
            Self::Tree(e) => e.source(),
            _ => None,
        }
    }
}

impl GitError {
    /// Whether it means that there is no repository, or no git that could know one.
    fn is_no_repository(&self) -> bool {
        match self {
            Self::Start(e) => e.kind() == io::ErrorKind::NotFound,
            // Git has one exit code for all that is fatal; other refusals do not say this.
            Self::Failed { said, .. } => said.contains("not a git repository (or any"),
            _ => false,
        }
    }
}

impl From<TreeError> for GitError {
    fn from(e: TreeError) -> Self {
        Self::Tree(e)
    }
}

/// The full hash of the commit that `revision` names, by default the one checked out.
///
/// # Errors
/// A revision that is none, or that the repository does not have.
pub fn commit(source: &Path, revision: Option<&str>) -> Result<String, GitError> {
    let revision = revision.unwrap_or("HEAD");
    if !is_revision(revision) {
        return Err(GitError::BadRevision(revision.to_owned()));
    }
    let unknown = || GitError::UnknownRevision { revision: revision.to_owned(), source: source.to_owned() };
    let peeled = format!("{revision}^{{commit}}");
    match git(&[&"rev-parse", &"--verify", &"--quiet", &peeled], source, &[]) {
        Ok(hash) => {
            let hash = text(&hash);
            // `^main` is answered with `^` and a hash: a set of commits, not a commit.
            match hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                true => Ok(hash),
                false => Err(unknown()),
            }
        }
        Err(GitError::Failed { code: Some(1), .. }) => Err(unknown()),
        Err(e) => Err(e),
    }
}

/// Whether git would not read it as something else.
fn is_revision(text: &str) -> bool {
    !(text.is_empty() || text.starts_with('-') || text.contains('\0'))
}

/// A name for people: the nearest tag, and how far from it `commit`, a hash, is; or else the short hash.
///
/// Without a commit it names the work tree, with `-dirty` at the end if tracked files have changed: all are looked at.
///
/// # Errors
/// There is no commit.
pub fn describe(source: &Path, commit: Option<&str>) -> Result<String, GitError> {
    let name = git(&[&"describe", &"--tags", &"--always", &commit.unwrap_or("--dirty")], source, &[])?;
    Ok(text(&name))
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().to_owned()
}

/// The paths in a NUL-separated list.
fn paths(list: &[u8]) -> impl Iterator<Item = &Path> {
    list.split(|&b| b == 0).filter(|p| !p.is_empty()).map(|p| Path::new(OsStr::from_bytes(p)))
}

/// The mode of a submodule in a list of entries.
const SUBMODULE: &[u8] = b"160000 ";

/// The path in an entry that git lists: `<mode> <what git knows>`, a tab, and the path as it is.
fn entry_path(entry: &[u8]) -> &Path {
    let tab = entry.iter().position(|&b| b == b'\t').map_or(0, |tab| tab + 1);
    Path::new(OsStr::from_bytes(&entry[tab..]))
}

/// The first of some paths, and how many more there are.
fn few(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = paths.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = paths.len().saturating_sub(SHOWN);
    names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}
