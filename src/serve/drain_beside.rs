//! Letting a canary's workers finish, beside others who go on taking requests at the same socket: there may never be a moment
//! without one.

use std::time::{Duration, Instant};

use super::drain::{PAUSE_REPLY, mark, resume, tell};
use super::{Trouble, stats};
use crate::error::{Error, Result};
use crate::model::name::BuildName;
use crate::model::observed::Worker;
use crate::model::slot::SlotPaths;
use crate::system::{files, procfs, signals, wait};

/// Lets all workers pause, each when it has finished what it has. No signal reaches them, so that none of their answers is
/// cut; see `canary.skel`.
///
/// # Errors
/// Requests do not end within `patience`; the workers then take requests again.
pub fn drain_beside(name: BuildName, paths: &SlotPaths, patience: Duration) -> Result<()> {
    // There already, it tells of workers that an earlier drain may have paused.
    let known = files::exists(&paths.draining());
    mark(paths, known)?;
    let mut pause = Pause { paths, told: None, set: (!known).then_some(false), first: None };
    let mut quiet = 0;
    let drained = wait::until(&[], patience, || {
        let Ok(mut workers) = stats::workers(&paths.stats()) else {
            return Ok(stats::silent(&paths.stats()).then_some(()));
        };
        workers.retain(Worker::started);
        pause.see(&workers)?;
        if pause.set != Some(true) {
            return Ok(None);
        }
        // One that waits for a request looks whether it is to pause only when something wakes it, and one thread at a time.
        let idle: Vec<i32> = workers.iter().filter(|worker| worker.paused()).map(|worker| worker.pid).collect();
        idle.iter().copied().for_each(signals::nudge);
        let free = idle.len() == workers.len() && procfs::holders(&paths.socket(), &idle).is_empty();
        let threads = workers.iter().map(|worker| worker.threads).max().unwrap_or(1);
        quiet = if free { quiet + 1 } else { 0 };
        Ok::<_, Error>((quiet > 2 * threads).then_some(()))
    });
    if let Ok(Some(())) = drained {
        // Before the link goes: nobody would look for it then. That they are paused shows by itself now.
        let forgotten = files::remove(&paths.draining()).map(drop);
        return forgotten.inspect_err(|_| _ = resume(paths));
    }
    match pause.set {
        Some(true) => resume(paths)?,
        _ if known => {}
        _ => _ = files::remove(&paths.draining())?,
    }
    drained?;
    let workers = stats::workers(&paths.stats()).unwrap_or_default();
    let left = workers.iter().map(|worker| worker.in_request as usize).sum();
    Err(Trouble::NotDrained { name, left, after: patience, again: "canary --off".into(), link: paths.ini() }.into())
}

/// What is known of whether the master has been told to pause. The command toggles.
struct Pause<'a> {
    paths: &'a SlotPaths,
    told: Option<Instant>,
    /// Whether they are to pause; `None` after a drain that was killed, until the workers show it.
    set: Option<bool>,
    /// The requests that they had answered at the first look.
    first: Option<u64>,
}

impl Pause<'_> {
    /// Looks at what the workers do, and tells them to pause where they are not to.
    fn see(&mut self, workers: &[Worker]) -> Result<()> {
        let answered = workers.iter().map(|worker| worker.requests).sum();
        let threads: usize = workers.iter().map(|worker| worker.threads).sum();
        // Each thread may take one more after it was told.
        let goes_on = answered > *self.first.get_or_insert(answered) + 2 * threads as u64;
        // Busy, a worker shows neither.
        if workers.iter().any(|worker| worker.status == "pause") {
            self.set = Some(true);
        } else if workers.iter().any(|worker| worker.status == "idle") || self.set.is_none() && goes_on {
            self.set = Some(false);
        }
        if self.set == Some(false) && self.told.is_none_or(|at| at.elapsed() > PAUSE_REPLY) {
            tell(&self.paths.fifo(), b"p")?;
            (self.told, self.set) = (Some(Instant::now()), Some(true));
        }
        Ok(())
    }
}
