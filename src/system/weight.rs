//! What the removal of trees would free on the disk: a file that has another name elsewhere stays there.
//!
//! Blocks that files share (reflinks) count as if each file had its own: the kernel tells who shares a block file by file
//! and slowly. So the sum is exact where [`super::disk::keeps_blocks_apart`], and elsewhere the most that may be freed.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use walkdir::WalkDir;

use super::signals;
use crate::error::{Error, Result};

/// The trees that go, added one after the other.
#[derive(Debug, Default)]
pub struct Weight {
    /// How many names of a file would be gone, by device and inode, for files that have several.
    gone: HashMap<(u64, u64), u64>,
}

/// What some more trees come to.
#[derive(Debug, Default)]
pub struct Freed {
    /// Bytes on the disk.
    pub bytes: u64,
    gone: HashMap<(u64, u64), u64>,
}

impl Weight {
    /// What would be freed by the removal of some more trees at once.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn of(&self, trees: &[PathBuf]) -> Result<Freed> {
        let mut freed = Freed::default();
        for tree in trees {
            for entry in WalkDir::new(tree) {
                signals::check()?;
                let data = entry.and_then(|entry| entry.metadata());
                match data {
                    Ok(data) => self.count(&data, &mut freed),
                    // Another command removes it, or there was none.
                    Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => {}
                    Err(error) => return Err(Error::io("look at", tree)(error.into())),
                }
            }
        }
        Ok(freed)
    }

    /// Has them go.
    pub fn add(&mut self, freed: Freed) {
        for (file, names) in freed.gone {
            *self.gone.entry(file).or_default() += names;
        }
    }

    fn count(&self, data: &Metadata, freed: &mut Freed) {
        let last = data.is_dir() || data.nlink() == 1 || {
            let file = (data.dev(), data.ino());
            let names = freed.gone.entry(file).or_default();
            *names += 1;
            *names + self.gone.get(&file).unwrap_or(&0) >= data.nlink()
        };
        freed.bytes += if last { data.blocks() * 512 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tree::scratch::Scratch;
    use super::*;

    #[test]
    fn a_file_counts_once_and_with_its_last_name() {
        let place = Scratch::new();
        let trees = ["a", "b", "kept"].map(|name| place.directory(name));
        let [a, b, kept] = &trees;
        let big = place.write("a/own", vec![1; 50_000]);
        let own = fs::metadata(&big).unwrap().blocks() * 512;
        for (file, names) in [("both", vec![b]), ("all", vec![b, kept])] {
            let first = place.write(a.join(file), vec![1; 20_000]);
            names.into_iter().for_each(|tree| fs::hard_link(&first, tree.join(file)).unwrap());
        }
        fs::hard_link(a.join("both"), a.join("again")).unwrap();
        let shared = fs::metadata(a.join("both")).unwrap().blocks() * 512;
        let directory = fs::metadata(a).unwrap().blocks() * 512;

        let mut weight = Weight::default();
        let alone = weight.of(std::slice::from_ref(b)).unwrap();
        assert_eq!(alone.bytes, directory);
        let first = weight.of(std::slice::from_ref(a)).unwrap();
        assert_eq!(first.bytes, directory + own);
        assert_eq!(weight.of(&[a.clone(), b.clone()]).unwrap().bytes, 2 * directory + own + shared);
        weight.add(first);
        let second = weight.of(std::slice::from_ref(b)).unwrap();
        assert_eq!(second.bytes, directory + shared);
        weight.add(second);
        assert_eq!(weight.of(std::slice::from_ref(kept)).unwrap().bytes, directory + shared, "now the last name");
        assert_eq!(weight.of(&[place.join("none")]).unwrap().bytes, 0);
    }
}
