//! Ending what this process has started, and what that has started in turn.

use std::collections::HashSet;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::signals::{self, Interrupted};
use super::{procfs, wait};

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

/// Ends all children and theirs; a command has one at a time.
///
/// They are in the process group of this process, and not in one of their own, as they may have to ask something on its
/// terminal, such as an ssh under pip, and as Ctrl-Z shall stop them too.
pub fn end() {
    for (signal, patience) in STEPS {
        let mut told = HashSet::new();
        let gone = signals::shielded(|| {
            wait::until(&[], patience, || {
                let left = procfs::descendants(std::process::id() as i32);
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
