//! A build that is being made: what its steps share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use super::graph::Node;
use super::record::Recorded;
use super::store::{self, Entry, Pending, Store};
use super::{Course, Note, Work, in_build, limited};
use crate::error::Result;
use crate::model::digest::Inputs;
use crate::model::layout::BuildPaths;
use crate::model::manifest::{Manifest, Origin, Progress, StepRecord};
use crate::model::migrations::Answer;
use crate::model::name::BuildName;
use crate::model::wish::Wish;
use crate::site::Site;
use crate::system::process::Run;
use crate::system::tree::{Copied, Selection};
use crate::system::{files, tree};

/// A build that is being made, by several steps at the same time.
pub struct Making<'a> {
    pub(super) site: &'a Site,
    pub(super) name: BuildName,
    /// Whose work in the store this is: the build's name, or another.
    pub(super) maker: String,
    /// Whether only packages are installed, for builds to come.
    pub(super) ahead: bool,
    pub(super) course: &'a Course,
    pub(super) paths: BuildPaths,
    pub(super) manifest: Mutex<Manifest>,
    /// Whether the tag was given, and so is not git's to say.
    pub(super) tagged: bool,
    /// What an interrupted create has finished.
    pub(super) before: Vec<StepRecord>,
    /// Whether the files differ from those that the steps of an interrupted create worked on.
    pub(super) changed: AtomicBool,
    /// Whether nothing of other builds may be used.
    pub(super) fresh: bool,
    /// Where to put what its databases lack, where somebody wants to know.
    pub(super) lacks: Option<&'a OnceLock<Answer>>,
    /// What is to be found by later builds, once it is on the disk.
    pub(super) pending: Mutex<Vec<Pending>>,
    /// The files of the source and the overlay, relative to the build, where somebody wants to know.
    pub(super) files: Mutex<BTreeSet<PathBuf>>,
    /// The bytes that were put into the build without taking room of their own.
    pub(super) shared: AtomicU64,
    /// The sizes in bytes of trees that need not be looked at again.
    pub(super) sizes: Mutex<BTreeMap<PathBuf, u64>>,
    /// The files of such trees, by the path of the tree in the build.
    pub(super) recorded: Mutex<Recorded>,
}

impl<'a> Making<'a> {
    /// Reserves the directory, or takes up the one that an interrupted create left.
    pub(super) fn begin(site: &'a Site, name: BuildName, wish: &Wish, course: &'a Course) -> Result<Self> {
        let paths = site.layout.build(name);
        let origin = Origin {
            path: site.config.site.source.to_string_lossy().into_owned(),
            commit: None,
            reference: wish.reference.clone(),
        };
        let mut manifest = Manifest::begin(name, files::now(), origin);
        manifest.inputs = site.fingerprint;
        let mut before = Vec::new();
        match site.manifest(name)? {
            // What one commit left is no ground for another.
            Some(old) if old.source.reference.is_some() || wish.reference.is_some() => tree::remove_all(paths.dir())?,
            Some(old) => {
                let same = old.inputs == manifest.inputs && wish.tag.as_ref().is_none_or(|tag| *tag == old.tag);
                before = if same { old.steps } else { Vec::new() };
                // What was wrong with it may be why it is made again.
                manifest =
                    Manifest { source: manifest.source, inputs: manifest.inputs, steps: Vec::new(), bad: None, ..old };
            }
            None => {}
        }
        if let Some(tag) = &wish.tag {
            manifest.tag = tag.clone();
        }
        store::forget(site, &name.to_string())?;
        files::directory(paths.dir())?;
        files::private_directory(&site.layout.logs(), 0o750)?;
        files::private_directory(&paths.run(), 0o750)?;
        // Without a record of what was finished: it must not outlive the files, which steps change from here on.
        site.write_manifest(&manifest)?;
        // What was shared before is shared still.
        let shared = if before.is_empty() { 0 } else { manifest.shared.unwrap_or(0) };
        let (tagged, changed) = (wish.tag.is_some(), AtomicBool::new(before.is_empty()));
        Ok(Self {
            site,
            name,
            maker: name.to_string(),
            ahead: false,
            course,
            paths,
            manifest: Mutex::new(manifest),
            tagged,
            before,
            changed,
            fresh: wish.fresh,
            lacks: None,
            pending: Mutex::default(),
            files: Mutex::default(),
            shared: AtomicU64::new(shared),
            sizes: Mutex::default(),
            recorded: Mutex::default(),
        })
    }

    /// The manifest, for as long as nobody else may have it.
    pub(super) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier build has left, where it may be used.
    pub(super) fn reusable(&self, found: impl FnOnce() -> Option<Entry>) -> Option<Entry> {
        let found = if self.fresh { None } else { found() };
        found.inspect(|entry| self.course.reuse(entry.kind))
    }

    /// Why nothing of an earlier build serves for these inputs.
    pub(super) fn because(&self, store: &Store, inputs: &Inputs) -> Result<String> {
        if self.fresh {
            return Ok("--fresh".into());
        }
        Ok(match store.latest()? {
            None => "first time".into(),
            Some(latest) => match inputs.differing(&latest.record.inputs).as_slice() {
                [one] => format!("{one} changed"),
                [one, others @ ..] => format!("{one} and {} more changed", others.len()),
                [] => "those of before are gone".into(),
            },
        })
    }

    /// The files of the source and the overlay.
    pub(super) fn files(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes files of the source or the overlay.
    pub(super) fn took<'b>(&self, paths: impl IntoIterator<Item = &'b Path>) {
        if self.site.config.assets.reuse {
            self.files().extend(paths.into_iter().map(Path::to_owned));
        }
    }

    /// Copies what a selection takes of a directory into the build, in the sight of whoever waits.
    pub(super) fn copy(&self, step: &str, from: &Path, selection: &Selection) -> Result<Copied> {
        let row = self.course.row(step);
        row.of(selection.iter().count());
        let copied = tree::copy(from, selection, self.paths.dir(), &|_| row.advance())?;
        self.shared.fetch_add(copied.shared, Ordering::SeqCst);
        self.alter(copied.changed > 0);
        self.took(selection.iter());
        Ok(copied)
    }

    /// Counts bytes that a step has put into the build without taking room.
    pub(super) fn count(&self, shared: u64) {
        self.shared.fetch_add(shared, Ordering::SeqCst);
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an entry of the store found by later builds when it is on the disk.
    pub(super) fn pend(&self, entry: Pending) {
        self.pending().push(entry);
    }

    /// Notes that steps of an interrupted create have worked on other files.
    pub(super) fn alter(&self, changed: bool) {
        self.changed.fetch_or(changed, Ordering::SeqCst);
    }

    pub(super) fn take(&self, node: &Node<Work>) -> Result<()> {
        let before = self.before.iter().find(|record| record.name == node.name);
        if let Some(record) = before.filter(|_| !node.work.always && !self.changed.load(Ordering::SeqCst)) {
            self.course.follow(node.name, || Ok(Some("done before".into())))?;
            self.manifest().steps.push(record.clone());
            return Ok(());
        }
        let log = self.site.layout.create_log(self.name, node.name);
        let record = self.course.follow(node.name, || files::together(|| (node.work.act)(self, &log)))?;
        self.manifest().steps.push(record);
        Ok(())
    }

    /// Writes down what was finished, for the next create of this build. A power cut must not leave a record without the
    /// files; where either cannot be written, that create does all again.
    pub(super) fn keep(&self) {
        self.manifest().shared = Some(self.shared.load(Ordering::SeqCst));
        let kept = files::sync_all(self.paths.dir()).and_then(|()| {
            files::sync_all(&self.site.layout.static_of(self.name)).ok();
            self.site.write_manifest(&self.manifest())
        });
        if kept.is_ok() {
            self.publish();
        }
        if let Err(error) = kept {
            tracing::debug!("not kept: {}: {}", error.what(), error.cause());
        }
    }

    /// Lets later builds find what this one has made, which is on the disk now. Without it they make it again.
    pub(super) fn publish(&self) {
        for entry in self.pending().drain(..) {
            if let Err(error) = entry.publish(self.site) {
                tracing::warn!("later builds cannot reuse it: {}: {}", error.what(), error.cause());
            }
        }
    }

    /// Declares the build complete.
    pub(super) fn finish(self) -> Result<Manifest> {
        let synced = self.course.follow("sync", || self.sync())?;
        self.publish();
        let mut manifest = self.manifest().clone();
        let shared = self.shared.load(Ordering::SeqCst);
        manifest.steps.push(synced);
        manifest.shared = Some(shared);
        manifest.written = manifest.size().map(|bytes| bytes.saturating_sub(shared));
        manifest.seconds = Some(self.course.elapsed().as_secs_f64());
        manifest.state = Progress::Complete;
        manifest.finished = Some(files::now());
        self.site.write_manifest(&manifest)?;
        Ok(manifest)
    }

    /// Has the build on the disk, as complete must mean complete after a power cut, too, and measures it meanwhile.
    pub(super) fn sync(&self) -> Result<Note> {
        // They may lie on another file system.
        let statics = self.site.layout.static_of(self.name);
        // The record is written there meanwhile, and what runs writes there later.
        self.measured(&self.paths.run(), 0);
        thread::scope(|scope| {
            scope.spawn(|| self.record());
            scope.spawn(|| {
                let (bytes, static_bytes) = (self.size(self.paths.dir()), self.size(&statics));
                let mut manifest = self.manifest();
                (manifest.bytes, manifest.static_bytes) = (bytes, static_bytes);
            });
            files::sync_all(self.paths.dir()).and_then(|()| files::sync_all(&statics))
        })?;
        Ok(Some("all on the disk".into()))
    }

    /// Runs a program of the host in the build's directory, without the build's environment.
    pub(super) fn tool(&self, run: Run, log: &Path) -> Result<()> {
        Ok(limited(self.site, run).directory(self.paths.dir()).logged(log)?)
    }

    /// A command in the build's environment.
    pub(super) fn command(&self, argv: &[String]) -> Run {
        let tag = self.manifest().tag.clone();
        in_build(self.site, self.name, &tag, argv)
    }
}
