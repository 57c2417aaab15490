//! Rules for paths. They look at the text of a path alone; whether it exists is asked elsewhere.

use std::path::{Component, Path, PathBuf};

use super::rule::Rule;

/// The longest path that a build's sockets have below the site root.
const LONGEST_SOCKET: &str = "/builds/zzz/run/vassal.stats";
/// What uWSGI holds of a Unix socket's path.
pub(super) const MOST_SOCKET_BYTES: usize = 102;
pub(super) const MOST_ROOT_BYTES: usize = MOST_SOCKET_BYTES - LONGEST_SOCKET.len();
/// None of these means anything to uWSGI or nginx, in whose configuration the root is written.
const ROOT_PUNCTUATION: &str = "/._+-";

/// `path` seen from `dir`, without `.` and `..`.
pub(super) fn resolve(dir: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in dir.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(resolved.pop()),
            other => resolved.push(other),
        }
    }
    resolved
}

/// `path` without `.` and `..`, if it does not lead out of the directory where it starts.
pub(super) fn stay_inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir if inside.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    // An empty path would join as a trailing slash.
    Some(if inside.as_os_str().is_empty() { PathBuf::from(".") } else { inside })
}

/// What is wrong with `root` as a site root.
pub(super) fn root_fault(root: &Path) -> Option<Rule> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ROOT_PUNCTUATION.contains(c);
    // A path that is no UTF-8 shows as U+FFFD, which is not allowed either.
    let text = root.to_string_lossy();
    if !root.is_absolute() || root.parent().is_none() {
        Some(Rule::RootPlace { root: root.to_path_buf() })
    } else if let Some(character) = text.chars().find(|&c| !allowed(c)) {
        Some(Rule::RootCharacter { root: root.to_path_buf(), character })
    } else if text.len() > MOST_ROOT_BYTES {
        let over = text.len() - MOST_ROOT_BYTES;
        Some(Rule::RootTooLong { root: root.to_path_buf(), over })
    } else {
        None
    }
}
