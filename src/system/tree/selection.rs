use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::{Excludes, TreeError};

/// What a copy takes: paths relative to the source, each once, every directory before what it holds.
///
/// A path never leaves the tree: it holds no `..` and is not absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(Vec<PathBuf>);

/// Every file, link and directory below `source`, but neither what `exclude` names nor the directories `never`. What is
/// left out is not looked into.
///
/// `never` holds absolute paths, such as a site's own root that lies inside its source. One that holds `source`
/// itself, or that is not there, leaves nothing out.
///
/// # Errors
/// A directory that cannot be read, or `source` being one of `never`.
pub fn everything(source: &Path, exclude: &Excludes, never: &[PathBuf]) -> Result<Selection, TreeError> {
    let root = canonical(source)?;
    let never = never_below(&root, never)?;
    let (mut paths, mut unread) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(directory) = unread.pop() {
        let place = root.join(&directory);
        let listing = |e| TreeError::new("list", &place, e);
        for entry in fs::read_dir(&place).map_err(listing)? {
            let entry = entry.map_err(listing)?;
            let path = directory.join(entry.file_name());
            let is_directory = entry.file_type().map_err(listing)?.is_dir();
            if exclude.leave_out(&path, is_directory) || never.contains(&path) {
                continue;
            }
            if is_directory {
                unread.push(path.clone());
            }
            paths.push(path);
        }
    }
    Ok(Selection::sorted(paths))
}

/// The given `files` of `source` and the directories that hold them, with the same exceptions as [`everything`].
///
/// The files need not exist: [`copy`](super::copy) says so if they do not.
///
/// # Errors
/// A path that is absolute or holds `..`, or `source` being one of `never`.
pub fn listed<I>(source: &Path, files: I, exclude: &Excludes, never: &[PathBuf]) -> Result<Selection, TreeError>
where
    I: IntoIterator<Item = PathBuf>,
{
    let never = never_below(&canonical(source)?, never)?;
    let mut directories = HashMap::new();
    Selection::closed(files.into_iter().filter(|file| {
        let out = never.iter().any(|n| file.starts_with(n)) || exclude.leave_out(file, false);
        !out && file.parent().is_none_or(|directory| kept(directory, exclude, &mut directories))
    }))
}

/// Whether neither a directory nor one above it is left out.
fn kept(directory: &Path, exclude: &Excludes, known: &mut HashMap<PathBuf, bool>) -> bool {
    let Some(above) = directory.parent() else {
        return true;
    };
    if let Some(&kept) = known.get(directory) {
        return kept;
    }
    let kept = !exclude.leave_out(directory, true) && self::kept(above, exclude, known);
    known.insert(directory.to_owned(), kept);
    kept
}

impl Selection {
    /// The paths in byte order, so that every directory stands before what it holds.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// Whether `path`, relative to the source, is in it.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        let found = self.0.binary_search_by(|p| p.as_os_str().cmp(path.as_os_str()));
        found.is_ok()
    }

    /// The form to keep in a file: each path followed by a NUL, which no file name can hold.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for path in &self.0 {
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.push(0);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A path that is absolute or holds `..`: the file was not written here, and acting on it could reach
    /// outside the tree. A last path without its NUL: the file was cut short.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let Some(bytes) = bytes.strip_suffix(&[0]) else {
            let rest = bytes.rsplit(|&b| b == 0).next().unwrap_or_default();
            return match rest {
                [] => Ok(Self::default()),
                cut => Err(refuse(Path::new(OsStr::from_bytes(cut)), "the list ends in the middle of it")),
            };
        };
        let paths = bytes.split(|&b| b == 0);
        Self::closed(paths.map(|p| PathBuf::from(OsString::from_vec(p.to_vec()))))
    }

    /// Completes `paths` with the directories above each.
    fn closed(paths: impl Iterator<Item = PathBuf>) -> Result<Self, TreeError> {
        let mut all = Vec::new();
        let mut directories = HashSet::new();
        for path in paths {
            let path = plain(path)?;
            for above in path.ancestors().skip(1).map(Path::as_os_str).take_while(|above| !above.is_empty()) {
                if directories.contains(above) {
                    break;
                }
                directories.insert(above.to_owned());
                all.push(PathBuf::from(above));
            }
            all.extend(Some(path).filter(|path| !path.as_os_str().is_empty()));
        }
        let mut sorted = Self::sorted(all);
        sorted.0.dedup_by(|a, b| a.as_os_str() == b.as_os_str());
        Ok(sorted)
    }

    /// Byte order and not `Path`'s own, which takes every path apart again for every comparison.
    fn sorted(mut paths: Vec<PathBuf>) -> Self {
        paths.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
        Self(paths)
    }
}

/// A path below the source as its names alone, for `a//b` and `./a/b` have to be the same entry as `a/b`.
fn plain(path: PathBuf) -> Result<PathBuf, TreeError> {
    let mut names = path.as_os_str().as_bytes().split(|&b| b == b'/');
    if names.all(|name| !matches!(name, b"" | b"." | b"..")) {
        return Ok(path);
    }
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => return Err(refuse(&path, "it is not a path below the source")),
        }
    }
    Ok(plain)
}

fn refuse(path: &Path, why: &'static str) -> TreeError {
    TreeError::because("select", path, ErrorKind::InvalidInput, why)
}

fn canonical(source: &Path) -> Result<PathBuf, TreeError> {
    fs::canonicalize(source).map_err(|e| TreeError::new("read the source", source, e))
}

/// `never` as paths relative to the canonical `root`, without those that lie elsewhere.
fn never_below(root: &Path, never: &[PathBuf]) -> Result<Vec<PathBuf>, TreeError> {
    let mut below = Vec::new();
    for path in never {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        match path.strip_prefix(root) {
            Ok(rest) if rest.as_os_str().is_empty() => {
                return Err(refuse(root, "the source is a directory that is never copied"));
            }
            Ok(rest) => below.push(rest.to_owned()),
            Err(_) => {}
        }
    }
    Ok(below)
}
