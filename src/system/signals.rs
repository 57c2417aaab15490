//! Signals that ask this process to end. They are noted, and looked at wherever it waits, so that what was begun is
//! cleaned up on the way out.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::{flag, low_level};

/// The signals that an operator, a service manager or a closed terminal sends.
const ASKING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

static NOTED: AtomicUsize = AtomicUsize::new(0);
static IMPATIENT: AtomicBool = AtomicBool::new(false);
/// How many threads clean up.
static SHIELDED: AtomicUsize = AtomicUsize::new(0);
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// What ends a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted(pub Signal);

/// Notes signals from now on. A second one ends the process at once, should the first have no effect.
///
/// A signal that the caller has set to be ignored stays so, as `nohup` wants it.
///
/// # Errors
/// The system refuses a handler.
pub fn watch() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for signal in ASKING.into_iter().filter(|&signal| !ignores(&status, signal)) {
        // In this order: the first signal arms what the second one meets.
        // A lost terminal sends SIGHUP twice by itself.
        if signal != Signal::SIGHUP {
            flag::register_conditional_default(signal as i32, &IMPATIENT)?;
            flag::register(signal as i32, &IMPATIENT)?;
        }
        flag::register_usize(signal as i32, &NOTED, signal as usize)?;
    }
    Ok(())
}

/// The signal that has come, if one has.
pub fn noted() -> Option<Signal> {
    i32::try_from(NOTED.load(Ordering::SeqCst)).ok().and_then(|number| Signal::try_from(number).ok())
}

/// Whether to go on.
///
/// # Errors
/// Somebody wants this process to end, or what its threads do together has failed; and it is not about to clean up.
pub fn check() -> Result<(), Interrupted> {
    match noted().or_else(|| abandoned().then_some(Signal::SIGTERM)) {
        Some(signal) if SHIELDED.load(Ordering::SeqCst) == 0 => Err(Interrupted(signal)),
        _ => Ok(()),
    }
}

/// Has all threads stop as a signal would, or lets new ones begin.
pub fn abandon(all: bool) {
    ABANDONED.store(all, Ordering::SeqCst);
}

/// Whether all threads are to stop.
pub fn abandoned() -> bool {
    ABANDONED.load(Ordering::SeqCst)
}

/// Does something to its end, such as taking a change back, though a signal has come.
pub fn shielded<T>(work: impl FnOnce() -> T) -> T {
    SHIELDED.fetch_add(1, Ordering::SeqCst);
    let done = work();
    SHIELDED.fetch_sub(1, Ordering::SeqCst);
    done
}

/// Ends this process as the signal would have. A shell stops a script whose command it sees end like that.
pub fn end_by(signal: Signal) {
    low_level::emulate_default_handler(signal as i32).ok();
}

/// Wakes each thread of another process that waits for something to happen. None of them takes it for an event: who waits
/// for the rest of something, with `poll`, goes on waiting. Source: signal(7), "Interruption of system calls and library
/// functions by stop signals".
pub fn nudge(pid: i32) {
    for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
        // Gone, or another user's.
        kill(Pid::from_raw(pid), signal).ok();
    }
}

/// Whether a process with this `/proc/PID/status` ignores a signal.
fn ignores(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_what_is_ignored() {
        let status = "SigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert!(ignores(status, Signal::SIGHUP) && ignores(status, Signal::SIGPIPE));
        assert!(!ignores(status, Signal::SIGINT) && !ignores(status, Signal::SIGTERM) && !ignores("", Signal::SIGHUP));
    }
}
