//! What builds share: trees that were made once, each under the digest of all that went into it, in `deps/store/`.
//!
//! A build gets a clone, so an entry may go at any time without harm to a build. An entry gets its name when it is on the
//! disk, together with the build for which it was made.

mod spare;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::error::{Error, Result};
use crate::model::digest::{Digest, Inputs};
use crate::model::manifest::{Manifest, Package};
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::disk;
use crate::system::files::{self, Mode};
use crate::system::lock::{self, Lock};
use crate::system::tree::{self, Cloned, Sharing};

/// What an entry says about itself, in `entry.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// What went into it.
    pub inputs: Inputs,
    /// The packages in it.
    pub packages: Vec<Package>,
    /// Whether nobody writes into its files, so that builds may have links to them.
    pub sealed: bool,
    /// The sizes of the files in its tree added up.
    pub bytes: u64,
}

/// A finished tree.
#[derive(Debug)]
pub struct Entry {
    /// Its store's, which is the name of the step that made it.
    pub kind: &'static str,
    /// Where it is.
    directory: PathBuf,
    /// What it says about itself.
    pub record: Record,
}

/// The entries of one kind, none of which goes while this is there.
pub struct Store<'a> {
    site: &'a Site,
    kind: &'static str,
    shares_blocks: bool,
    _lock: Lock,
}

/// An entry that is not yet known to be on the disk.
#[derive(Debug)]
pub struct Pending {
    from: PathBuf,
    to: PathBuf,
}

impl<'a> Store<'a> {
    /// Those of `kind`, which is `python`, `node` or `assets`.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn open(site: &'a Site, kind: &'static str) -> Result<Self> {
        let directory = site.layout.store().join(kind);
        files::directory(&directory)?;
        let shares_blocks = disk::shares_blocks(&directory).unwrap_or(false);
        Ok(Self { site, kind, shares_blocks, _lock: lock::share(&lock_file(site)?)? })
    }

    /// The entry that these inputs made.
    pub fn find(&self, key: &Digest) -> Option<Entry> {
        self.read(self.place(key), key)
    }

    fn read(&self, directory: PathBuf, key: &Digest) -> Option<Entry> {
        let record = fs::read(directory.join(RECORD)).ok()?;
        let record: Record = serde_json::from_slice(&record).ok()?;
        // Its name alone does not tell what it is.
        (record.inputs.key() == *key).then_some(Entry { kind: self.kind, directory, record })
    }

    /// The entry of the youngest build that has one.
    ///
    /// # Errors
    /// A manifest cannot be read.
    pub fn latest(&self) -> Result<Option<Entry>> {
        let mut made: Vec<Manifest> = manifests(self.site)?;
        made.sort_by_key(|manifest| std::cmp::Reverse(manifest.created));
        Ok(made.iter().find_map(|manifest| self.find(manifest.digests.get(self.kind)?)))
    }

    /// Clones a tree of an entry into a build, and returns how many of its bytes take no room of their own; `None` where the
    /// entry is not what it was, and so is forgotten.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn take(&self, entry: &Entry, tree: &str, to: &Path) -> Result<Option<u64>> {
        let from = entry.tree(tree);
        if from.is_dir() {
            let cloned = self.clone(&from, to, entry.record.sealed)?;
            if cloned.bytes == entry.record.bytes {
                return Ok(Some(cloned.shared));
            }
            tree::remove_all(to)?;
        }
        tracing::warn!("{} is damaged, and is made anew", entry.directory.display());
        files::remove(&entry.directory.join(RECORD))?;
        Ok(None)
    }

    /// Clones a tree of a build into a new entry.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn clone(&self, from: &Path, to: &Path, sealed: bool) -> Result<Cloned> {
        Ok(tree::clone(from, to, self.sharing(sealed), tree::MOST)?)
    }

    fn sharing(&self, sealed: bool) -> Sharing {
        match (self.shares_blocks, sealed) {
            (true, _) => Sharing::Blocks,
            (false, true) => Sharing::Links,
            (false, false) => Sharing::Nothing,
        }
    }

    /// An empty directory for an entry that `maker` makes.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(&self, maker: &str) -> Result<PathBuf> {
        let directory = unfinished(self.site, self.kind, maker);
        tree::remove_all(&directory)?;
        files::directory(&directory)?;
        Ok(directory)
    }

    /// Writes down what the new entry of `maker` is. It is found after [`Pending::publish`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record(&self, maker: &str, record: &Record) -> Result<Pending> {
        let from = unfinished(self.site, self.kind, maker);
        let path = from.join(RECORD);
        let text = serde_json::to_vec_pretty(record).map_err(|error| Error::io("write", &path)(error.into()))?;
        // The digests of secrets may be in it.
        files::write(&path, &text, Mode::Private)?;
        Ok(Pending { from, to: self.place(&record.inputs.key()) })
    }

    fn place(&self, key: &Digest) -> PathBuf {
        self.site.layout.store().join(self.kind).join(key.to_string())
    }
}

impl Entry {
    /// The tree of this name in it.
    pub fn tree(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Pending {
    /// Gives an entry that is on the disk its name, in place of one that has it, unless that is being used.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn publish(&self, site: &Site) -> Result<()> {
        if files::exists(&self.to) {
            let Some(_lock) = lock::try_alone(&lock_file(site)?)? else { return Ok(tree::remove_all(&self.from)?) };
            tree::remove_all(&self.to)?;
        }
        files::rename(&self.from, &self.to)
    }
}

/// Removes what one who was killed has left in the store.
///
/// # Errors
/// It is still there.
pub fn forget(site: &Site, maker: &str) -> Result<()> {
    for kind in KINDS {
        tree::remove_all(&unfinished(site, kind, maker))?;
        tree::remove_all(&spare::unfinished(site, kind, maker))?;
    }
    Ok(tree::remove_all(&cache(site, maker))?)
}

/// Where an installer may unpack what it then links into a build, on the same file system.
pub fn cache(site: &Site, maker: &str) -> PathBuf {
    site.layout.store().join(format!(".cache-{maker}"))
}

/// Removes the entries that no build has; later, where somebody uses the store.
///
/// # Errors
/// A manifest cannot be read, or an entry not be removed.
pub fn tidy(site: &Site) -> Result<()> {
    let Some(_lock) = lock::try_alone(&lock_file(site)?)? else { return Ok(()) };
    Ok(unused(site, &BTreeSet::new())?.iter().try_for_each(|entry| tree::remove_all(entry))?)
}

/// The entries that no build has, or would have without some builds. Those that were made ahead wait for the next build.
///
/// # Errors
/// A manifest cannot be read.
pub fn unused(site: &Site, without: &BTreeSet<BuildName>) -> Result<Vec<PathBuf>> {
    let all = manifests(site)?;
    let youngest = all.iter().map(|made| made.created).max().unwrap_or(0);
    let others = all.into_iter().filter(|made| !without.contains(&made.name));
    let used: BTreeSet<Digest> = others.flat_map(|made| made.digests.into_values()).collect();
    let entries = KINDS.iter().flat_map(|kind| fs::read_dir(site.layout.store().join(kind))).flatten().flatten();
    let key = |entry: &fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
    let unused = entries.filter(|entry| key(entry).is_some_and(|key| !used.contains(&key))).map(|entry| entry.path());
    Ok(unused.filter(|entry| !spare::waits(entry, youngest)).collect())
}

/// Copies some files of one tree into another. Never links: what these are may be written, or starts programs.
///
/// # Errors
/// One cannot be read or written.
pub fn put(paths: &[PathBuf], from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::io("make the directory", to))?;
    paths.iter().try_for_each(|path| copy(&from.join(path), &to.join(path)))
}

/// Copies all files of a tree that [`put`] has filled.
///
/// # Errors
/// One cannot be read or written.
pub fn put_all(from: &Path, to: &Path) -> Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry.map_err(|error| Error::io("read", from)(error.into()))?;
        let Ok(path) = entry.path().strip_prefix(from) else { continue };
        if !entry.file_type().is_dir() {
            copy(entry.path(), &to.join(path))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        if files::exists(to) {
            fs::remove_file(to)?;
        }
        match fs::read_link(from) {
            Ok(target) => symlink(target, to),
            Err(_) => fs::copy(from, to).map(drop),
        }
    });
    copied.map_err(Error::io("copy", to))
}

/// The name of what an entry says about itself.
const RECORD: &str = "entry.json";

/// The name of an entry's packages in it.
pub const TREE: &str = "packages";

const KINDS: [&str; 3] = ["assets", "node", "python"];

/// Shared by whoever uses entries, so that nobody tidies them up meanwhile.
fn lock_file(site: &Site) -> Result<PathBuf> {
    files::directory(&site.layout.run())?;
    Ok(site.layout.run().join("store.lock"))
}

fn unfinished(site: &Site, kind: &str, maker: &str) -> PathBuf {
    site.layout.store().join(kind).join(format!(".new-{maker}"))
}

/// Those of all builds.
///
/// # Errors
/// One cannot be read.
pub fn manifests(site: &Site) -> Result<Vec<Manifest>> {
    let made = site.builds()?.into_iter().map(|name| site.manifest(name));
    made.filter_map(Result::transpose).collect()
}
