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
const MOST: usize = 4;

/// A few threads that share a pile of jobs, which may grow while they work.
pub(super) struct Crew<J> {
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

/// Does `work` on each job and on those that it adds, and returns when all is done. `work` returns how many entries it
/// has handled; a small tree is left to the calling thread alone.
///
/// # Errors
/// The first one in any thread, which stops the others at their next [`Crew::check`].
pub(super) fn share<J: Send>(
    jobs: Vec<J>,
    work: impl Fn(J, &Crew<J>) -> Result<usize, TreeError> + Sync,
) -> Result<(), TreeError> {
    let pile = Pile { jobs, open: 0, failed: None };
    let crew = Crew { pile: Mutex::new(pile), changed: Condvar::new(), stopped: AtomicBool::new(false) };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST);
    thread::scope(|scope| {
        let (mut handled, mut helped) = (0, false);
        while let Some(entries) = crew.one(&work) {
            handled += entries;
            if handled > ALONE && !helped {
                helped = true;
                for _ in 1..threads {
                    // One that cannot be had leaves more to the others.
                    let helper = thread::Builder::new().name("tree".into());
                    helper.spawn_scoped(scope, || while crew.one(&work).is_some() {}).ok();
                }
            }
        }
    });
    match crew.pile().failed.take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl<J> Crew<J> {
    pub(super) fn add(&self, jobs: impl IntoIterator<Item = J>) {
        self.pile().jobs.extend(jobs);
        self.changed.notify_all();
    }

    /// Whether to go on with `path`, which is being `action`.
    ///
    /// # Errors
    /// A signal has come, or another thread has failed.
    pub(super) fn check(&self, action: &'static str, path: &Path) -> Result<(), TreeError> {
        let stop = |why| Err(TreeError::because(action, path, ErrorKind::Interrupted, why));
        match signals::check() {
            Err(_) => stop("a signal came"),
            Ok(()) if self.stopped.load(Ordering::Relaxed) => stop("another thread has failed"),
            Ok(()) => Ok(()),
        }
    }

    /// Does one job; `None` once there is none and none can come.
    fn one(&self, work: impl Fn(J, &Self) -> Result<usize, TreeError>) -> Option<usize> {
        let job = self.next()?;
        let _done = Done(self);
        match work(job, self) {
            Ok(entries) => Some(entries),
            Err(error) => {
                self.stopped.store(true, Ordering::Relaxed);
                self.pile().failed.get_or_insert(error);
                None
            }
        }
    }

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
