//! Waiting for a condition, woken by the file system, with a deadline.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::signals::{self, Interrupted};

/// The longest time between two looks, for conditions that no file shows, such as a worker that has loaded.
const TICK: Duration = Duration::from_millis(20);

/// Asks `probe` until it yields something, at once when a directory of `watched` changes, and until `patience` is over.
///
/// # Errors
/// Those of the probe; and a signal has come that asks this process to end.
pub fn until<T, E: From<Interrupted>>(
    watched: &[&Path],
    patience: Duration,
    mut probe: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let deadline = Instant::now() + patience;
    let watch = Watch::new(watched);
    loop {
        if let Some(found) = probe()? {
            return Ok(Some(found));
        }
        signals::check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        watch.next(left.min(TICK));
    }
}

/// Takes the next message, or what there is instead when `patience` is over or nobody is left to send one.
///
/// # Errors
/// A signal has come that asks this process to end.
pub fn message<T>(from: &Receiver<T>, patience: Duration) -> Result<Result<T, RecvTimeoutError>, Interrupted> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match from.recv_timeout(left.min(TICK)) {
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => signals::check()?,
            received => return Ok(received),
        }
    }
}

/// Changes in some directories. A directory that cannot be watched (gone, or out of inotify watches) is only looked
/// at less promptly.
struct Watch {
    events: Receiver<notify::Result<Event>>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn new(directories: &[&Path]) -> Self {
        let (sender, events) = channel();
        // A user has few inotify instances, and fifty commands that wait for a lock watch nothing.
        let watched = !directories.is_empty();
        let mut watcher = watched.then(|| notify::recommended_watcher(sender).ok()).flatten();
        for directory in directories {
            if let Some(watcher) = &mut watcher {
                drop(watcher.watch(directory, RecursiveMode::NonRecursive));
            }
        }
        Self { events, _watcher: watcher }
    }

    /// Returns at the next change, and after `longest` without one.
    fn next(&self, longest: Duration) {
        match self.events.recv_timeout(longest) {
            Ok(_) => while self.events.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            // Without a watcher the channel is closed at once, and looking again and again would spin.
            Err(RecvTimeoutError::Disconnected) => std::thread::park_timeout(longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct No;

    impl From<Interrupted> for No {
        fn from(_: Interrupted) -> Self {
            Self
        }
    }

    #[test]
    fn it_asks_until_the_answer_comes() {
        let mut asked = 0;
        let found = until(&[], Duration::from_secs(10), || {
            asked += 1;
            Ok::<_, No>((asked == 3).then_some("here"))
        });
        assert_eq!(found, Ok(Some("here")));
    }

    #[test]
    fn it_gives_up_at_the_deadline_after_one_last_look() {
        let found = until(&[Path::new("/nonexistent")], Duration::ZERO, || Ok::<Option<()>, No>(None));
        assert_eq!(found, Ok(None));
    }

    #[test]
    fn a_message_is_awaited_no_longer_than_it_may_take() {
        let (sender, receiver) = channel();
        assert_eq!(message(&receiver, Duration::ZERO), Ok(Err(RecvTimeoutError::Timeout)));
        sender.send("here").unwrap();
        assert_eq!(message(&receiver, Duration::ZERO), Ok(Ok("here")));
        drop(sender);
        assert_eq!(message(&receiver, Duration::from_secs(10)), Ok(Err(RecvTimeoutError::Disconnected)));
    }

    #[test]
    fn errors_of_the_probe_end_it() {
        assert_eq!(until(&[], Duration::from_secs(10), || Err::<Option<()>, _>(No)), Err(No));
    }
}
