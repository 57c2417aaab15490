//! Which files of the source a create takes.

use std::path::{Path, PathBuf};

use super::super::places::refuse_own_names;
use crate::error::{Error, Result};
use crate::model::pattern::{BadLine, Excludes};
use crate::site::Site;
use crate::system::files;
use crate::system::git::{self, Commit, GitError, Tracked};
use crate::system::tree::{self, Selection};

/// The file at the top of a source that says what of it is not deployed.
const IGNORE: &str = ".buildsignore";

/// What a create takes of the files on the disk, and whether that is what git tracks or all but the excludes.
///
/// # Errors
/// They cannot be listed, or are not as a build needs them.
pub fn as_it_is(site: &Site, source: &Path) -> Result<(Selection, bool)> {
    let file = source.join(IGNORE);
    let mut excludes = excludes(&files::read(&file)?.unwrap_or_default(), &file.display().to_string())?;
    match git::tracked(source)? {
        Some(Tracked { files, missing, mut pointers }) => {
            let source = source.to_owned();
            let selection = tree::listed(&source, files, &excludes, &never(site))?;
            let missing = wanted(missing, &excludes);
            pointers.retain(|file| selection.contains(file));
            match (missing.is_empty(), pointers.is_empty()) {
                (false, _) => Err(GitError::NotCheckedOut { source, paths: missing }.into()),
                (_, false) => Err(GitError::Pointers { source, revision: None, paths: pointers }.into()),
                _ => Ok((selection, true)),
            }
        }
        None => {
            excludes.0.extend(site.config.site.exclude.0.iter().cloned());
            Ok((tree::everything(source, &excludes, &never(site))?, false))
        }
    }
}

/// The files that a create takes of a commit, which `reference` names.
///
/// # Errors
/// They cannot be listed, or are not as a build needs them.
pub fn of_commit(site: &Site, source: &Path, reference: &str, commit: &Commit) -> Result<Vec<PathBuf>> {
    let Tracked { mut files, missing, .. } = commit.files()?;
    let has_own = files.iter().any(|file| file == Path::new(IGNORE));
    let text = if has_own { commit.read(IGNORE)? } else { String::new() };
    let excludes = excludes(&text, &format!("{IGNORE} of {reference}"))?;
    let missing = wanted(missing, &excludes);
    if !missing.is_empty() {
        return Err(GitError::Submodules { revision: reference.to_owned(), paths: missing }.into());
    }
    let selection = tree::listed(source, files.iter().cloned(), &excludes, &never(site))?;
    refuse_own_names(&selection, "source")?;
    files.retain(|file| selection.contains(file));
    Ok(files)
}

/// What is no part of the source wherever it lies: the site's own root, and `builds.toml`, whose `[env]` may hold secrets.
fn never(site: &Site) -> [PathBuf; 2] {
    [site.layout.root().to_owned(), site.file.clone()]
}

/// The patterns of a source's own file, which is at `place`.
fn excludes(text: &str, place: &str) -> Result<Excludes> {
    Excludes::of_lines(text).map_err(|BadLine { line, text, fault }| Error::Unmet {
        problem: format!("{place} line {line}: {text:?} is no pattern"),
        cause: fault.to_string(),
        next: "write one pattern a line, such as *.pyc, /docs or tests/".into(),
    })
}

/// The directories that are not left out.
fn wanted(mut directories: Vec<PathBuf>, excludes: &Excludes) -> Vec<PathBuf> {
    directories.retain(|directory| !excludes.leave_out_whole(directory));
    directories
}
