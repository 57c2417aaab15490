use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::tree::TreeError;
use super::{GitError, git, paths, text};

/// What gives a file to Git LFS, in a file of attributes.
const ATTRIBUTE: &str = "filter=lfs";
/// What stands in place of a file's content until Git LFS has fetched it, and the most bytes of it.
/// Source: git-lfs, `docs/spec.md`.
const POINTER: (&[u8], u64) = (b"version https://git-lfs.github.com/spec/v1", 1024);

const ATTRIBUTES: &str = ".gitattributes";

/// Those of a work tree's tracked `files` that are pointers of Git LFS, since it has not fetched their content.
pub(super) fn pointers(source: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
    if !uses_lfs(source, files)? {
        return Ok(Vec::new());
    }
    let given = format!(":(attr:{ATTRIBUTE})");
    let list = git(&[&"ls-files", &"-z", &"--cached", &"--recurse-submodules", &"--", &given], source, &[])?;
    Ok(paths(&list).filter(|file| is_pointer(&source.join(file))).map(Path::to_owned).collect())
}

/// Those of `files` of a commit, written into `target`, that are pointers. Their attributes may be those of a directory above
/// the source.
pub(super) fn pointers_in(
    commit: &str,
    source: &Path,
    files: &[PathBuf],
    target: &Path,
) -> Result<Vec<PathBuf>, GitError> {
    let top = fs::symlink_metadata(source.join(".git")).is_ok();
    if top && !files.iter().any(|file| file.ends_with(ATTRIBUTES)) {
        return Ok(Vec::new());
    }
    let everywhere = format!(":(top,glob)**/{ATTRIBUTES}");
    match git(&[&"grep", &"--quiet", &"--fixed-strings", &ATTRIBUTE, &commit, &"--", &everywhere], source, &[]) {
        Ok(_) => Ok(files.iter().filter(|file| is_pointer(&target.join(file))).cloned().collect()),
        Err(GitError::Failed { code: Some(1), .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether `git lfs` can be run.
pub fn has_lfs(source: &Path) -> bool {
    git(&[&"lfs", &"version"], source, &[]).is_ok()
}

/// Whether some attributes of the work tree may give files to Git LFS. They are read here, as git takes longer to look for
/// those of each file, and few sites have any.
fn uses_lfs(source: &Path, files: &[PathBuf]) -> Result<bool, GitError> {
    let own = files.iter().filter(|file| file.as_os_str().as_bytes().ends_with(ATTRIBUTES.as_bytes()));
    if own.into_iter().any(|file| names_lfs(&source.join(file))) {
        return Ok(true);
    }
    let real = fs::canonicalize(source).map_err(|e| TreeError::new("find", source, e))?;
    for directory in real.ancestors() {
        if directory != real && names_lfs(&directory.join(ATTRIBUTES)) {
            return Ok(true);
        }
        match fs::symlink_metadata(directory.join(".git")) {
            Ok(found) if found.is_dir() => return Ok(names_lfs(&directory.join(".git/info/attributes"))),
            // In a linked work tree or a submodule only git knows where they are.
            Ok(_) => break,
            Err(_) => {}
        }
    }
    let place = text(&git(&[&"rev-parse", &"--git-path", &"info/attributes"], source, &[])?);
    Ok(names_lfs(&source.join(place)))
}

fn names_lfs(attributes: &Path) -> bool {
    fs::read(attributes).is_ok_and(|text| text.windows(ATTRIBUTE.len()).any(|piece| piece == ATTRIBUTE.as_bytes()))
}

fn is_pointer(file: &Path) -> bool {
    let short = fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.len() < POINTER.1);
    let mut start = Vec::new();
    let read = |mut file: File| file.by_ref().take(POINTER.0.len() as u64).read_to_end(&mut start);
    short && File::open(file).and_then(read).is_ok() && start == POINTER.0
}
