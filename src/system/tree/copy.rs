use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::stat::{FileStat, Mode, SFlag};

use super::attributes::{Attributes, Giver};
use super::contents::Writer;
use super::crew::{MOST, Worker, share};
use super::directory::{Directory, kind, size};
use super::place::{Asides, Done, Place, split, vanished};
use super::{Selection, TreeError, itself, make_target};

/// So many entries of one directory are a thread's next piece of work.
const PIECE: usize = 256;

/// What a copy found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The files, links and FIFOs that the target now has from the source, whether written now or before.
    pub files: usize,
    /// The sizes of those files added up, in bytes.
    pub bytes: u64,
    /// So many of these bytes this copy wrote.
    pub written: u64,
    /// And so many it got from the source by sharing blocks with it.
    pub shared: u64,
    /// The entries that this copy wrote: files, links, FIFOs, and directories that were missing or whose mode or
    /// owner differed. A directory's time alone does not count, since everything written in it moves that.
    pub changed: usize,
    /// The sockets and devices that were left out, relative to the source.
    pub skipped: Vec<PathBuf>,
}

/// Makes what `selection` takes from `source` the same in `target`, which is created if it is missing.
///
/// Content, type, mode and modification time become equal to the nanosecond; owner and group too so far as the
/// process may give them, which root always may. The target itself gets the source's own, but always lets its owner
/// write. Links are copied as links. What the target has besides is left alone. Blocks are shared with the source
/// where the file system can.
///
/// A file that has the source's type, mode, owner, time and size is taken to be equal; any other is written under
/// another name beside it, given its attributes, and renamed; a new directory that is not large is filled before it is
/// renamed. So an existing inode is never written to, a copy that was cut off goes on where it stopped, and no half
/// file bears a final name. `progress` is told the size in bytes of
/// each entry that is done, by several threads if there are many.
///
/// # Errors
/// Whatever stops it at a path, which the error names; also a file that has vanished since it was selected, or
/// that changes each time it is read. What was copied until then stays.
pub fn copy(
    source: &Path,
    selection: &Selection,
    target: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Copied, TreeError> {
    make_target(target)?;
    let mut below: HashMap<&OsStr, Vec<&Path>> = HashMap::new();
    for path in selection.iter() {
        below.entry(split(path).0).or_default().push(path);
    }
    let run = Run {
        below,
        asides: Asides::unlike(selection),
        giver: Giver::this_process(),
        sharing: AtomicBool::new(true),
        progress,
    };
    let (top, attributes) = run.top(source, target)?;
    let sum = Mutex::new(Sum { directories: vec![(Path::new(""), attributes)], ..Sum::default() });
    share(run.pieces(top, Path::new("")), MOST, |job, worker| {
        let mut done = run.job(job, worker)?;
        worker.add(done.jobs.drain(..).rev());
        Ok(sum.lock().unwrap_or_else(PoisonError::into_inner).add(done))
    })?;
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    run.finish(target, sum)
}

enum Job<'a> {
    /// A directory, and whether it has to be made.
    Directory(Arc<Place>, &'a Path, bool),
    /// Some of the entries of a directory.
    Entries(Arc<Place>, &'a [&'a Path]),
}

struct Run<'a> {
    /// What the selection has in each directory.
    below: HashMap<&'a OsStr, Vec<&'a Path>>,
    asides: Asides,
    giver: Giver,
    /// Whether blocks can be shared, for all that is known.
    sharing: AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// What has been done.
#[derive(Default)]
struct Sum<'a> {
    entries: usize,
    copied: Copied,
    /// Directories, and what they get once all that they hold is in.
    directories: Vec<(&'a Path, Attributes)>,
    /// What is to be done next, the first one first.
    jobs: Vec<Job<'a>>,
}

impl<'a> Run<'a> {
    fn top(&self, source: &Path, target: &Path) -> Result<(Place, Attributes), TreeError> {
        let source = Directory::follow(source).map_err(|e| TreeError { action: "read the source", ..e })?;
        let mut attributes = Attributes::of(&source.stat()?, &self.giver);
        attributes.mode |= Mode::S_IRWXU;
        let target = itself(target);
        let mode = fs::symlink_metadata(target).map_or(0o700, |found| found.mode());
        if mode & 0o700 != 0o700 {
            let opened = fs::set_permissions(target, Permissions::from_mode(mode & 0o7777 | 0o700));
            opened.map_err(|e| TreeError::new("make writable", target, e))?;
        }
        let target = Directory::open(target.to_owned())?;
        Ok((Place::old(source, target, &self.asides)?, attributes))
    }

    fn job(&'a self, job: Job<'a>, worker: &Worker<Job<'a>>) -> Result<Sum<'a>, TreeError> {
        let (above, path, new) = match job {
            Job::Entries(place, entries) => return self.entries(&place, entries, worker),
            Job::Directory(above, path, new) => (above, path, new),
        };
        let name = split(path).1;
        let entries = self.entries_of(path);
        if !new || entries.len() > PIECE {
            let place = above.enter(name, new, &self.asides)?;
            return Ok(Sum { jobs: self.pieces(place, path), ..Sum::default() });
        }
        above.publish(name, self.asides.of(worker.number), |place| self.entries(&Arc::new(place), entries, worker))
    }

    fn entries_of(&self, directory: &Path) -> &[&'a Path] {
        self.below.get(directory.as_os_str()).map_or(&[], Vec::as_slice)
    }

    /// The jobs that a directory is made of.
    fn pieces(&'a self, place: Place, path: &Path) -> Vec<Job<'a>> {
        let place = Arc::new(place);
        let pieces = self.entries_of(path).chunks(PIECE);
        pieces.map(|entries| Job::Entries(Arc::clone(&place), entries)).collect()
    }

    fn entries(
        &self,
        place: &Arc<Place>,
        entries: &[&'a Path],
        worker: &Worker<Job<'a>>,
    ) -> Result<Sum<'a>, TreeError> {
        let mut writer = Writer::new(&self.sharing);
        let mut sum = Sum { entries: entries.len(), ..Sum::default() };
        for &path in entries {
            worker.check("copy", path)?;
            let name = split(path).1;
            let found = place.source.look(name).map_err(|e| vanished(&place.source.at(name), e))?;
            let old = place.look(name)?;
            if kind(&found) == SFlag::S_IFDIR {
                let attributes = Attributes::of(&found, &self.giver);
                sum.copied.changed += usize::from(!old.is_some_and(|old| attributes.same_access(&old)));
                sum.directories.push((path, attributes));
                let new = place.clear_for_directory(name, old.as_ref())?;
                sum.jobs.push(Job::Directory(Arc::clone(place), path, new));
                (self.progress)(0);
                continue;
            }
            if let Some(lost) = self.entries_of(path).first() {
                let why = "the directory that holds it is not one";
                let path = place.source.at(name).join(split(lost).1);
                return Err(TreeError::because("copy", &path, ErrorKind::NotADirectory, why));
            }
            if !matches!(kind(&found), SFlag::S_IFREG | SFlag::S_IFLNK | SFlag::S_IFIFO) {
                sum.copied.skipped.push(path.to_owned());
                continue;
            }
            let aside = self.asides.of(worker.number);
            let done = place.entry(name, (&found, old.as_ref()), &self.giver, aside, &mut writer)?;
            sum.copied.count(&found, done);
            (self.progress)(if kind(&found) == SFlag::S_IFREG { size(&found) } else { 0 });
        }
        Ok(sum)
    }

    fn finish(&self, target: &Path, mut sum: Sum) -> Result<Copied, TreeError> {
        // What a directory holds comes before it: once it has its own mode, it may not be searched any more.
        sum.directories.sort_unstable_by(|(one, _), (other, _)| other.as_os_str().cmp(one.as_os_str()));
        for (path, attributes) in &sum.directories {
            let directory = Directory::open(target.join(path).components().collect())?;
            let now = directory.stat()?;
            if !(attributes.same_access(&now) && attributes.same_time(&now)) {
                let given = attributes.give(&directory, &now);
                given.map_err(|e| TreeError::new("set mode, owner and time of", &directory.path, e))?;
            }
        }
        sum.copied.skipped.sort_unstable();
        Ok(sum.copied)
    }
}

impl Copied {
    fn count(&mut self, found: &FileStat, done: Done) {
        let bytes = if kind(found) == SFlag::S_IFREG { size(found) } else { 0 };
        self.files += 1;
        self.bytes += bytes;
        self.changed += usize::from(done != Done::Nothing);
        match done {
            Done::Nothing => {}
            Done::Written => self.written += bytes,
            Done::Shared => self.shared += bytes,
        }
    }
}

impl<'a> Sum<'a> {
    /// Adds up, and returns how many entries the other one was.
    fn add(&mut self, other: Sum<'a>) -> usize {
        self.copied.files += other.copied.files;
        self.copied.bytes += other.copied.bytes;
        self.copied.written += other.copied.written;
        self.copied.shared += other.copied.shared;
        self.copied.changed += other.copied.changed;
        self.copied.skipped.extend(other.copied.skipped);
        self.directories.extend(other.directories);
        other.entries
    }
}
