use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{env, path};

use nix::unistd::mkdtemp;

use super::super::tree::{TreeError, make_target, remove_all, set_mtime};
use super::{GitError, SUBMODULE, commit, entry_path, git, path_line, text};

/// Writes the files that `source` has in the commit `revision` into `target`, and returns them relative to it.
///
/// They come from the object store and get the commit's time as their own. Neither the work tree nor the
/// repository's index is touched. What has one of their names in `target` is replaced, never written into, and links
/// there are not followed; what else it holds stays.
///
/// # Errors
/// A revision that is none or unknown; a commit without this directory, or with submodules in it.
pub fn export(source: &Path, revision: &str, target: &Path) -> Result<Vec<PathBuf>, GitError> {
    let hash = commit(source, Some(revision))?;
    let tree = tree(source, &hash)?;
    let files = files(source, revision, &tree)?;
    let git_dir = path_line(&git(&[&"rev-parse", &"--absolute-git-dir"], source, &[])?);
    make_target(target)?;
    let target = path::absolute(target).map_err(|e| TreeError::new("find", target, e))?;
    let private = Private::new()?;
    let index = private.0.join("index");
    // With the target as its work tree, git takes the attributes (line ends, filters) from there or from the commit,
    // but not from what the source happens to have checked out.
    let env = [
        ("GIT_DIR", git_dir.as_os_str()),
        ("GIT_WORK_TREE", target.as_os_str()),
        ("GIT_INDEX_FILE", index.as_os_str()),
    ];
    // A monitor that the repository may have set up knows nothing of this work tree.
    let unwatched = "core.fsmonitor=false";
    git(&[&"-c", &unwatched, &"read-tree", &tree], &target, &env)?;
    git(&[&"-c", &unwatched, &"checkout-index", &"--all", &"--force"], &target, &env)?;
    let time = committed(source, &hash)?;
    for file in &files {
        let path = target.join(file);
        set_mtime(&path, time, 0).map_err(|e| TreeError::new("set the time of", &path, e))?;
    }
    Ok(files)
}

/// The files that `source` has in the commit `revision`, relative to `source`.
///
/// # Errors
/// Like [`export`].
pub fn files_in(source: &Path, revision: &str) -> Result<Vec<PathBuf>, GitError> {
    let hash = commit(source, Some(revision))?;
    files(source, revision, &tree(source, &hash)?)
}

/// The object name of the directory that `source` is in the commit `hash`.
fn tree(source: &Path, hash: &str) -> Result<OsString, GitError> {
    let mut name = OsString::from(format!("{hash}:"));
    let prefix = path_line(&git(&[&"rev-parse", &"--show-prefix"], source, &[])?);
    name.push(OsStr::from_bytes(prefix.as_bytes().strip_suffix(b"/").unwrap_or_default()));
    match git(&[&"rev-parse", &"--verify", &"--quiet", &name], source, &[]) {
        Ok(object) => Ok(text(&object).into()),
        Err(GitError::Failed { code: Some(1), .. }) => {
            Err(GitError::UnknownRevision { revision: name.to_string_lossy().into_owned(), source: source.to_owned() })
        }
        Err(e) => Err(e),
    }
}

fn files(source: &Path, revision: &str, tree: &OsStr) -> Result<Vec<PathBuf>, GitError> {
    let list = git(&[&"ls-tree", &"-r", &"-z", &"--full-tree", &tree], source, &[])?;
    let (mut files, mut submodules) = (Vec::new(), Vec::new());
    for entry in list.split(|&b| b == 0).filter(|entry| !entry.is_empty()) {
        let path = entry_path(entry).to_owned();
        match entry.starts_with(SUBMODULE) {
            true => submodules.push(path),
            false => files.push(path),
        }
    }
    match submodules.is_empty() {
        true => Ok(files),
        false => Err(GitError::Submodules { revision: revision.to_owned(), paths: submodules }),
    }
}

/// When the commit was made, in seconds of the epoch.
fn committed(source: &Path, hash: &str) -> Result<i64, GitError> {
    let line = text(&git(&[&"rev-list", &"--max-count=1", &"--timestamp", &hash], source, &[])?);
    let time = line.split(' ').next().and_then(|time| time.parse().ok());
    // A commit can hold any number, also one that is no time.
    Ok(time.unwrap_or_default())
}

/// A directory for the index that nobody else can open, removed in the end.
struct Private(PathBuf);

impl Private {
    fn new() -> Result<Self, TreeError> {
        let template = env::temp_dir().join("builds-index-XXXXXX");
        match mkdtemp(&template) {
            Ok(path) => Ok(Self(path)),
            Err(e) => Err(TreeError::new("create", &template, e.into())),
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // The export is done or has failed, and either is worth more than this.
        let _ = remove_all(&self.0);
    }
}
