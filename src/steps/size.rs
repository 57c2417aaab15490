//! How large a build is, without a look at each of its packages' files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::Making;

impl Making<'_> {
    /// Notes the bytes of installed packages. What later steps may put among them, such as a cache, does not count.
    pub(super) fn measured(&self, tree: &Path, bytes: u64) {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).insert(tree.to_owned(), bytes);
    }

    /// The trees whose bytes are known.
    pub(super) fn sizes(&self) -> BTreeMap<PathBuf, u64> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bytes of all files below a directory; `None` where it cannot be read.
    pub(super) fn size(&self, directory: &Path) -> Option<u64> {
        size(directory, &self.sizes())
    }
}

fn size(path: &Path, known: &BTreeMap<PathBuf, u64>) -> Option<u64> {
    if let Some(&bytes) = known.get(path) {
        return Some(bytes);
    }
    if known.keys().any(|tree| tree.starts_with(path)) {
        return fs::read_dir(path).ok()?.map(|entry| size(&entry.ok()?.path(), known)).sum();
    }
    fs_extra::dir::get_size(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tree::scratch::Scratch;

    #[test]
    fn what_is_known_is_not_looked_at() {
        let place = Scratch::new();
        for path in ["a", "lib/b", "lib/packages/c", "lib/packages/d/e"] {
            place.write(path, "1234");
        }
        let known = BTreeMap::from([(place.join("lib/packages"), 100)]);
        assert_eq!(size(&place, &BTreeMap::new()), Some(16));
        assert_eq!(size(&place, &known), Some(108));
        assert_eq!(size(&place.join("none"), &known), None);
    }
}
