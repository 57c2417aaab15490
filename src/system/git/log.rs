use std::path::Path;

use serde::Serialize;

use super::{GitError, git, is_revision};

/// A commit, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its full hash.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
}

/// The commits that lead to `to` and not to `from`, the newest first. Both are hashes.
///
/// # Errors
/// The repository of `source` has one of the two not.
pub fn between(source: &Path, from: &str, to: &str) -> Result<Vec<Entry>, GitError> {
    if let Some(bad) = [from, to].into_iter().find(|hash| !is_revision(hash)) {
        return Err(GitError::BadRevision(bad.to_owned()));
    }
    let range = format!("{from}..{to}");
    let said = git(&[&"log", &"--no-decorate", &"--no-color", &"--format=%H %s", &range, &"--"], source, &[])?;
    let said = String::from_utf8_lossy(&said);
    let entry = |line: &str| {
        let (commit, subject) = line.split_once(' ')?;
        Some(Entry { commit: commit.to_owned(), subject: subject.to_owned() })
    };
    Ok(said.lines().filter_map(entry).collect())
}
