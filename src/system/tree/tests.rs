mod again;
mod clone;
mod crew;
mod faithful;
mod many;
mod removal;
mod seal;
mod selection;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::copy::Copied;
use super::{Excludes, Selection, TreeError, copy, everything};

fn all(source: &Path) -> Selection {
    everything(source, &Excludes::default(), &[]).unwrap()
}

fn copy_all(source: &Path, target: &Path) -> Result<Copied, TreeError> {
    copy(source, &all(source), target, &|_| {})
}

/// All that a copy has to keep of one entry.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    content: Vec<u8>,
}

/// Every entry below `root`, and `root` itself under the empty path.
fn seen(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let look = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        let content = if found.is_symlink() {
            fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
        } else if found.is_file() {
            fs::read(path).unwrap()
        } else {
            Vec::new()
        };
        Seen {
            mode: found.mode(),
            owner: (found.uid(), found.gid()),
            mtime: (found.mtime(), found.mtime_nsec()),
            content,
        }
    };
    let entries = WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path());
    entries.map(|path| (path.strip_prefix(root).unwrap().to_owned(), look(&path))).collect()
}

/// Like `assert_eq`, but names only the entries that differ.
fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (seen(left), seen(right));
    let paths = left.keys().chain(right.keys());
    let differing: Vec<_> = paths.filter(|p| left.get(*p) != right.get(*p)).collect();
    assert!(differing.is_empty(), "these differ: {differing:?}");
}
