use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::signals;
use super::TreeError;

/// So many entries the calling thread takes before it calls for help: to start a thread costs as much as ten files.
const ALONE: usize = 500;

/// No more threads than this: they all wait for one journal.
pub const MOST: usize = 4;

/// One of the threads that share a pile of jobs, which may grow while they work.
pub(super) struct Worker<'a, J> {
    crew: &'a Crew<J>,
    /// Its own among the numbers below [`MOST`].
    pub(super) number: usize,
}

struct Crew<J> {
    pile: Mutex<Pile<J>>,
    changed: Condvar,
    stopped: AtomicBool,
}

struct Pile<J> {
    jobs: Vec<J>,
    /// The jobs that are being done, any of which may add others.
    open: usize,
    /// The first error, in time.
    failed: Option<TreeError>,
}

/// Does `work` on each job and on those that it adds, in at most so many threads, and returns when all is done. `work`
/// returns how many entries it has handled; a small tree is left to the calling thread alone.
///
/// # Errors
/// The first one in any thread, which stops the others at their next [`Worker::check`].
pub(super) fn share<J: Send>(
    jobs: Vec<J>,
    threads: usize,
    work: impl Fn(J, &Worker<J>) -> Result<usize, TreeError> + Sync,
) -> Result<(), TreeError> {
    let pile = Pile { jobs, open: 0, failed: None };
    let crew = Crew { pile: Mutex::new(pile), changed: Condvar::new(), stopped: AtomicBool::new(false) };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(threads);
    thread::scope(|scope| {
        let (mut handled, mut helped) = (0, false);
        let first = Worker { crew: &crew, number: 0 };
        while let Some(entries) = first.one(&work) {
            handled += entries;
            if handled > ALONE && !helped {
                helped = true;
                for number in 1..threads {
                    let (helper, work) = (Worker { crew: &crew, number }, &work);
                    // One that cannot be had leaves more to the others.
                    let thread = thread::Builder::new().name("tree".into());
                    thread.spawn_scoped(scope, move || while helper.one(work).is_some() {}).ok();
                }
            }
        }
    });
    match crew.pile().failed.take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl<J> Worker<'_, J> {
    pub(super) fn add(&self, jobs: impl IntoIterator<Item = J>) {
        self.crew.pile().jobs.extend(jobs);
        self.crew.changed.notify_all();
    }

    /// Whether to go on with `path`, which is being `action`.
    ///
    /// # Errors
    /// A signal has come, or another thread has failed.
    pub(super) fn check(&self, action: &'static str, path: &Path) -> Result<(), TreeError> {
        let stop = |why| Err(TreeError::because(action, path, ErrorKind::Interrupted, why));
        match signals::check() {
            Err(_) => stop("a signal came"),
            Ok(()) if self.crew.stopped.load(Ordering::Relaxed) => stop("another thread has failed"),
            Ok(()) => Ok(()),
        }
    }

    /// Does one job; `None` once there is none and none can come.
    fn one(&self, work: impl Fn(J, &Self) -> Result<usize, TreeError>) -> Option<usize> {
        let job = self.crew.next()?;
        let _done = Done(self.crew);
        match work(job, self) {
            Ok(entries) => Some(entries),
            Err(error) => {
                self.crew.stopped.store(true, Ordering::Relaxed);
                self.crew.pile().failed.get_or_insert(error);
                None
            }
        }
    }
}

impl<J> Crew<J> {
    fn next(&self) -> Option<J> {
        let mut pile = self.pile();
        while !self.stopped.load(Ordering::Relaxed) {
            if let Some(job) = pile.jobs.pop() {
                pile.open += 1;
                return Some(job);
            }
            if pile.open == 0 {
                return None;
            }
            pile = self.changed.wait(pile).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn pile(&self) -> MutexGuard<'_, Pile<J>> {
        self.pile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a job, also by a panic, which must not leave the others waiting.
struct Done<'a, J>(&'a Crew<J>);

impl<J> Drop for Done<'_, J> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stopped.store(true, Ordering::Relaxed);
        }
        self.0.pile().open -= 1;
        self.0.changed.notify_all();
    }
}
