//! Locks that the kernel releases, however a command ends.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{files, procfs, wait, who};
use crate::error::{Error, Result};

/// The longest line of a holder that is read, in bytes.
const SIGNATURE: u64 = 1 << 10;

/// How long the programs that a killed command has left may take to end.
const ORPHANS: Duration = Duration::from_secs(10);

/// A lock that this process holds until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    /// Whether this process has written into the file who it is.
    signed: bool,
    /// Who held it last and was killed, or lost its power: whoever ends otherwise takes its signature away.
    pub killed: Option<String>,
}

/// A lock that another command did not give up in time.
#[derive(Debug)]
pub struct Held {
    /// What it guards, as in "build a".
    pub what: String,
    /// What the holder wrote about itself.
    pub holder: String,
    /// How long was waited.
    pub waited: Duration,
}

impl Lock {
    fn of(file: Flock<File>) -> Self {
        Self { file, signed: false, killed: None }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.signed {
            self.file.set_len(0).ok();
        }
    }
}

impl Held {
    /// Who holds it.
    pub fn cause(&self) -> String {
        format!("held by {}; waited {} s", self.holder, seconds(self.waited))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in use: {}", self.what, self.cause())
    }
}

/// Takes the lock of the file at `path`, waiting for at most `patience`. `what` says what it guards.
///
/// # Errors
/// Another command holds it for longer, or the file cannot be made.
pub fn take(path: &Path, what: &str, patience: Duration) -> Result<Lock> {
    if let Some(directory) = path.parent() {
        files::directory(directory)?;
    }
    let began = Instant::now();
    let mut file = Some(open(path)?);
    let mut told = false;
    let taken = wait::until(&[], patience, || {
        let Some(own) = file.take() else { return Ok(None) };
        match Flock::lock(own, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((mut own, Errno::EWOULDBLOCK)) => {
                if !std::mem::replace(&mut told, true) && !patience.is_zero() {
                    let seconds = seconds(patience);
                    tracing::info!("waiting for {what}, held by {}; at most {seconds} s", holder(&mut own));
                }
                file = Some(own);
                Ok(None)
            }
            Err((_, errno)) => Err(Error::io("lock", path)(errno.into())),
        }
    })?;
    let Some(mut lock) = taken else {
        let holder = file.as_mut().map_or_else(String::new, holder);
        return Err(Held { what: what.to_owned(), holder, waited: began.elapsed() }.into());
    };
    let killed =
        signature(&mut lock).map(|line| line.rsplit_once(" since ").map_or(line.clone(), |(who, _)| who.into()));
    // The lock holds without a signature, which a full disk refuses: an rm must still be possible.
    sign(&mut lock).ok();
    Ok(Lock { file: lock, signed: true, killed })
}

/// Takes the lock of the file at `path` together with others who share it; waits for one who has it alone.
///
/// # Errors
/// The file cannot be made or locked.
pub fn share(path: &Path) -> Result<Lock> {
    let lock = Flock::lock(open(path)?, FlockArg::LockShared);
    lock.map(Lock::of).map_err(|(_, errno)| Error::io("lock", path)(errno.into()))
}

/// Takes the lock of the file at `path` alone, if nobody has it.
///
/// # Errors
/// The file cannot be made.
pub fn try_alone(path: &Path) -> Result<Option<Lock>> {
    Ok(Flock::lock(open(path)?, FlockArg::LockExclusiveNonblock).ok().map(Lock::of))
}

/// Whether somebody has the lock of the file at `path`. Nothing is locked for it, so it disturbs nobody.
///
/// Source: proc_locks(5). Holders in other process namespaces are not seen, nor any on btrfs, whose files
/// have other devices there.
pub fn is_taken(path: &Path) -> bool {
    let Ok(data) = std::fs::metadata(path) else { return false };
    let device = (nix::sys::stat::major(data.dev()), nix::sys::stat::minor(data.dev()));
    let place = format!(" {:02x}:{:02x}:{} ", device.0, device.1, data.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| line.contains(": FLOCK ") && line.contains(&place))
}

/// Ends the programs that a killed command has left running, told by the log that they still write to. They might change
/// what the next command works on. The caller holds the lock that the killed command held.
///
/// # Errors
/// One does not end, or belongs to another user.
pub fn end_orphans(log: &Path, what: &str) -> Result<()> {
    let Ok(mut file) = File::open(log).map(Some) else { return Ok(()) };
    let mut told = HashSet::new();
    let ended = wait::until(&[], ORPHANS, || {
        let Some(own) = file.take() else { return Ok(None) };
        match Flock::lock(own, FlockArg::LockExclusiveNonblock) {
            Err((own, Errno::EWOULDBLOCK)) => file = Some(own),
            // Nobody has it, or the file system has no locks.
            _ => return Ok(Some(())),
        }
        for orphan in procfs::lockers(log) {
            if told.insert(orphan.pid) {
                tracing::info!("ending what a killed command has left: process {} ({})", orphan.pid, orphan.title);
            }
            kill(Pid::from_raw(orphan.pid), Signal::SIGKILL).ok();
        }
        Ok::<_, Error>(None)
    })?;
    let holder = format!("a program that a killed command has left, and that writes to {}", log.display());
    ended.ok_or_else(|| Held { what: what.to_owned(), holder, waited: ORPHANS }.into())
}

fn open(path: &Path) -> Result<File> {
    // The text in it belongs to the holder.
    files::append(path).map_err(Error::io("open the lock", path))
}

/// Leaves a line for those who wait.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {} (builds {}) since {}", std::process::id(), who::typed(), files::now())
}

fn holder(file: &mut File) -> String {
    signature(file).map_or_else(|| "another command".into(), |line| describe(&line, files::now()))
}

/// What the holder of a lock wrote about itself, or the last one, if it was killed.
fn signature(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(SIGNATURE).read_to_string(&mut text)).ok()?;
    Some(text.trim().to_owned()).filter(|line| !line.is_empty())
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().round()
}

/// Turns the time at the end of a holder's line, in seconds since 1970, into how long ago that was, and when.
fn describe(line: &str, now: u64) -> String {
    match line.rsplit_once(" since ") {
        Some((who, since)) => match since.parse::<u64>() {
            Ok(since) => {
                let (hour, minute, second) = (since / 3600 % 24, since / 60 % 60, since % 60);
                let long = now.saturating_sub(since);
                format!("{who} for {long} s, since {hour:02}:{minute:02}:{second:02} UTC")
            }
            Err(_) => who.to_owned(),
        },
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::scratch::Scratch;
    use super::*;
    use crate::damaged::damaged;

    proptest! {
        #[test]
        fn no_holder_makes_it_panic(line in damaged("process 7 (builds create a) since 100"), now: u64) {
            describe(&line, now);
        }
    }

    #[test]
    fn a_lock_is_seen_and_not_touched() {
        let place = Scratch::new();
        let path = place.join("lock");
        assert!(!is_taken(&path));
        let lock = take(&path, "it", Duration::ZERO).unwrap();
        assert!(is_taken(&path));
        drop(lock);
        assert!(!is_taken(&path));
    }

    #[test]
    fn the_holder_is_told_with_its_age() {
        let line = "process 7 (builds create a) since 1699999999";
        let told = "process 7 (builds create a) for 90001 s, since 22:13:19 UTC";
        assert_eq!(describe(line, 1_700_090_000), told);
        assert_eq!(describe("garbage", 103), "garbage");
    }
}
