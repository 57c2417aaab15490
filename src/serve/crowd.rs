//! Requests to one build, several at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::system::http::{Answer, Browser};
use crate::system::signals::Interrupted;
use crate::system::wait;

/// Users who each send the next request when the last is answered, until this is dropped.
pub struct Crowd {
    answers: Receiver<(usize, Answer)>,
    enough: Arc<AtomicBool>,
}

impl Crowd {
    /// Lets `users` ask for `paths`, from the first to the last and, with `again`, from the first again.
    pub fn send(browser: &Browser, paths: Vec<String>, users: usize, again: bool) -> Self {
        let paths: Arc<[String]> = paths.into();
        let (next, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (sender, answers) = channel();
        for _ in 0..users {
            let (sender, browser, paths) = (sender.clone(), browser.clone(), paths.clone());
            let (next, enough) = (next.clone(), enough.clone());
            // Nobody waits for its end: a failure or a signal must not have to wait for an answer.
            std::thread::spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let at = if again { number % paths.len() } else { number };
                    let Some(path) = paths.get(at) else { break };
                    if sender.send((number, browser.get(path))).is_err() {
                        break;
                    }
                }
            });
        }
        Self { answers, enough }
    }

    /// The next answer and the number of its request, from 0; or why there is none: nobody asks any more, or `patience` is
    /// over.
    ///
    /// # Errors
    /// A signal has come that asks this process to end.
    pub fn next(&self, patience: Duration) -> Result<Result<(usize, Answer), RecvTimeoutError>, Interrupted> {
        wait::message(&self.answers, patience)
    }

    /// Lets nobody send another request. The answers that are under way still come.
    pub fn stop(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop();
    }
}
