use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};

use super::super::tree::{TreeError, make_target, remove_all, set_mtime};
use super::command::git_reading;
use super::lfs::pointers_in;
use super::{GitError, SUBMODULE, Tracked, commit, entry_path, git, text};

/// A commit as a source has it.
#[derive(Debug)]
pub struct Commit {
    /// Its full hash.
    pub hash: String,
    /// The object name of the directory that the source is in it.
    tree: String,
    repository: PathBuf,
    source: PathBuf,
}

/// The commit that `revision` names; `None` if `source` has no repository. Without git installed nothing has one.
///
/// # Errors
/// A revision that is none or unknown; a commit without this directory; a repository that git refuses to read.
pub fn find(source: &Path, revision: &str) -> Result<Option<Commit>, GitError> {
    let peeled = format!("{revision}^{{commit}}");
    let place = format!("{peeled}:./");
    let known = match super::is_revision(revision) {
        true => git(&[&"rev-parse", &"--absolute-git-dir", &peeled, &place], source, &[]),
        false => return Err(GitError::BadRevision(revision.to_owned())),
    };
    let told = known.as_ref().ok().and_then(|told| {
        // The directory may have newlines in its name. A set of commits is answered with more lines, and other ones.
        let mut lines = told.strip_suffix(b"\n")?.rsplitn(3, |&b| b == b'\n');
        let (tree, hash) = (object(lines.next()?)?, object(lines.next()?)?);
        let repository = Path::new(OsStr::from_bytes(lines.next()?));
        repository.is_dir().then(|| Commit { hash, tree, repository: repository.to_owned(), source: source.to_owned() })
    });
    if told.is_some() {
        return Ok(told);
    }
    if known.is_err_and(|error| error.is_no_repository()) {
        return Ok(None);
    }
    // Which of the two it was that is not there.
    let hash = commit(source, Some(revision))?;
    Err(GitError::UnknownRevision { revision: format!("{hash}:./"), source: source.to_owned() })
}

impl Commit {
    /// The files that the source has in it, and the submodules, whose files are in no commit of it. Which files are
    /// pointers of Git LFS only [`Self::export`] tells.
    ///
    /// # Errors
    /// Whatever git refuses.
    pub fn files(&self) -> Result<Tracked, GitError> {
        let list = git(&[&"ls-tree", &"-r", &"-z", &"--full-tree", &self.tree], &self.source, &[])?;
        let entries = list.split(|&b| b == 0).filter(|entry| !entry.is_empty());
        let (submodules, files): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.starts_with(SUBMODULE));
        let paths = |entries: Vec<&[u8]>| entries.into_iter().map(|entry| entry_path(entry).to_owned()).collect();
        Ok(Tracked { files: paths(files), missing: paths(submodules), pointers: Vec::new() })
    }

    /// The text of one of its files, what is no UTF-8 replaced.
    ///
    /// # Errors
    /// It has no such file.
    pub fn read(&self, file: &str) -> Result<String, GitError> {
        let name = format!("{}:{file}", self.tree);
        Ok(String::from_utf8_lossy(&git(&[&"cat-file", &"blob", &name], &self.source, &[])?).into_owned())
    }

    /// Writes some of its `files` into `target`, and returns those that are pointers of Git LFS there: a git that is set up
    /// for it writes the content.
    ///
    /// They come from the object store and get the commit's time as their own. Neither the work tree nor the
    /// repository's index is touched: git's index of `target` is made in `private`, a directory that must not be there
    /// and is not afterwards. What has one of their names in `target` is replaced, never written into, and links there
    /// are not followed; what else it holds stays.
    ///
    /// # Errors
    /// Whatever git refuses, such as a filter that fails.
    pub fn export(&self, files: &[PathBuf], target: &Path, private: &Path) -> Result<Vec<PathBuf>, GitError> {
        make_target(target)?;
        let target = path::absolute(target).map_err(|e| TreeError::new("find", target, e))?;
        let private = Private::new(private)?;
        let (index, list) = (private.0.join("index"), private.0.join("list"));
        let named: Vec<u8> =
            files.iter().flat_map(|file| [file.as_os_str().as_bytes(), b"\0"]).flatten().copied().collect();
        fs::write(&list, named).map_err(|e| TreeError::new("write", &list, e))?;
        // With the target as its work tree, git takes the attributes (line ends, filters) from there or from the commit,
        // but not from what the source happens to have checked out.
        let env = [
            ("GIT_DIR", self.repository.as_os_str()),
            ("GIT_WORK_TREE", target.as_os_str()),
            ("GIT_INDEX_FILE", index.as_os_str()),
        ];
        // A monitor that the repository may have set up knows nothing of this work tree.
        let (unwatched, shared) = ("core.fsmonitor=false", "checkout.workers=0");
        git(&[&"-c", &unwatched, &"read-tree", &self.tree], &target, &env)?;
        let checkout: [&dyn AsRef<OsStr>; 8] =
            [&"-c", &unwatched, &"-c", &shared, &"checkout-index", &"--force", &"-z", &"--stdin"];
        git_reading(&list, &checkout, &target, &env)?;
        let time = self.time()?;
        for file in files {
            let path = target.join(file);
            set_mtime(&path, time, 0).map_err(|e| TreeError::new("set the time of", &path, e))?;
        }
        pointers_in(&self.hash, &self.source, files, &target)
    }

    /// When it was made, in seconds of the epoch.
    fn time(&self) -> Result<i64, GitError> {
        let line = text(&git(&[&"rev-list", &"--max-count=1", &"--timestamp", &self.hash], &self.source, &[])?);
        let time = line.split(' ').next().and_then(|time| time.parse().ok());
        // A commit can hold any number, also one that is no time.
        Ok(time.unwrap_or_default())
    }
}

/// The name of one object, and nothing else.
fn object(line: &[u8]) -> Option<String> {
    let name = str::from_utf8(line).ok()?;
    (name.len() >= 40 && name.bytes().all(|b| b.is_ascii_hexdigit())).then(|| name.to_owned())
}

/// A directory that is removed in the end.
struct Private(PathBuf);

impl Private {
    fn new(path: &Path) -> Result<Self, TreeError> {
        let path = path::absolute(path).map_err(|e| TreeError::new("find", path, e))?;
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(e) => Err(TreeError::new("create", &path, e)),
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // The export is done or has failed, and either is worth more than this.
        let _ = remove_all(&self.0);
    }
}
