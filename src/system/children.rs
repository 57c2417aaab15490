//! Ending what this process has started, and what that has started in turn.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::procfs::{self, Process};
use super::signals::{self, Interrupted};
use super::wait;

/// What is sent to all of them, and how long they may then take. At first nothing: Ctrl-C in a terminal reaches them
/// too, and a second one would cut their cleaning up short.
const STEPS: [(Option<Signal>, Duration); 3] = [
    (None, Duration::from_millis(500)),
    (Some(Signal::SIGINT), Duration::from_secs(2)),
    (Some(Signal::SIGKILL), Duration::from_secs(2)),
];

/// From now on, or until now, what a child has started becomes this process's own when that child ends.
pub fn adopt(orphans: bool) {
    // Without it, which no kernel of these years lacks, only an orphan of an ended child is missed.
    set_child_subreaper(orphans).ok();
}

/// The programs that this process has started and waits for.
static RUNNING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// A program that this process has started, until it is dropped.
pub struct Child(i32);

impl Child {
    /// Notes a program that was just started.
    pub fn new(pid: u32) -> Self {
        let pid = pid as i32;
        running().push(pid);
        Self(pid)
    }

    /// Ends it and all that it has started, also what has lost its parent since.
    ///
    /// They are in the process group of this process, and not in one of their own, as they may have to ask something on
    /// its terminal, such as an ssh under pip, and as Ctrl-Z shall stop them too.
    pub fn end(&self) {
        // Nobody has pressed Ctrl-C where another step of the same create has failed.
        let steps = if signals::abandoned() { &STEPS[1..] } else { &STEPS };
        for (signal, patience) in steps {
            let mut told = HashSet::new();
            let gone = signals::shielded(|| {
                wait::until(&[], *patience, || {
                    let left = self.family();
                    for process in &left {
                        if told.insert(process.pid) {
                            signal.map(|signal| kill(Pid::from_raw(process.pid), signal));
                        }
                    }
                    Ok::<_, Interrupted>(left.is_empty().then_some(()))
                })
            });
            if matches!(gone, Ok(Some(()))) {
                return;
            }
        }
    }

    /// What descends from this process, but not from another of its programs.
    fn family(&self) -> Vec<Process> {
        let own = std::process::id() as i32;
        let all = procfs::descendants(own);
        let others: Vec<i32> = running().iter().copied().filter(|&pid| pid != self.0).collect();
        let parent = |pid| all.iter().find(|process| process.pid == pid).map(|process| process.parent);
        let of_another = |process: &Process| {
            std::iter::successors(Some(process.pid), |&pid| parent(pid)).any(|pid| others.contains(&pid))
        };
        all.iter().filter(|process| !of_another(process)).cloned().collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        running().retain(|&pid| pid != self.0);
    }
}

fn running() -> MutexGuard<'static, Vec<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
