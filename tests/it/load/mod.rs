//! Users of a site, who never stop asking, and what they saw.

mod http;
mod user;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use crate::site::{wait_for, wait_within};
use http::Connection;
pub use http::REFUSED;
use user::User;

/// Longer than anything in front of the application waits, so that the answer tells who gave up.
const PATIENCE: Duration = Duration::from_secs(75);

/// What the site of `fixtures/load` needs in its `builds.toml`.
pub const CONFIG: &str = "\n[assets]\ncommands = [[\"python3\", \"assets.py\"]]\n";

/// Users of one port. By turns they ask for a page, post a body that must come back, and fetch the static files of the
/// pages that they got up to 10 s ago.
#[derive(Clone, Copy)]
pub struct Crowd {
    pub port: u16,
    /// Where static files are served.
    pub files: u16,
    /// Each has one request under way at any time.
    pub users: usize,
    /// How many of them only ask for what takes 2 s.
    pub slow: usize,
    pub keep_alive: KeepAlive,
}

/// Who keeps a connection for further requests.
#[derive(Clone, Copy)]
pub enum KeepAlive {
    All,
    Half,
    None,
}

/// Crowds at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<Seen>>,
    turns: Vec<Arc<AtomicUsize>>,
}

/// What the users saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The requests that were answered rightly.
    pub waits: Vec<Wait>,
    /// Those that were not.
    pub failures: Vec<Failure>,
    /// Those sent on a kept connection while the server closed it. Nobody can tell whether the server saw them.
    pub raced: Vec<Failure>,
    /// The builds whose pages came, by letter and tag.
    pub builds: BTreeSet<String>,
}

/// How long a request took, less the seconds that it asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    pub begun: Instant,
    pub length: Duration,
    /// Whether the application answered, rather than nginx from a file.
    pub by_app: bool,
}

/// A request that was lost.
#[derive(Debug)]
pub struct Failure {
    pub request: String,
    pub begun: Instant,
    pub ended: Instant,
    pub reason: String,
}

impl Crowd {
    /// Users of one of nginx's servers, every second of whom keeps connections.
    pub fn at(port: u16, users: usize) -> Self {
        Self { port, files: port, users, slow: 0, keep_alive: KeepAlive::Half }
    }
}

impl Load {
    pub fn start(crowds: &[Crowd]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let all = || crowds.iter().flat_map(|crowd| (0..crowd.users).map(move |number| (crowd, number)));
        let turns: Vec<Arc<AtomicUsize>> = all().map(|_| Arc::default()).collect();
        let users = all().zip(&turns).map(|((crowd, number), turns)| {
            let user = User::new(crowd, number, Arc::clone(&stop), Arc::clone(turns));
            spawn(|| user.run())
        });
        Self { users: users.collect(), stop, turns }
    }

    /// Waits until every user has had an answer, or a failure, to a request that is under way now.
    #[track_caller]
    pub fn await_all(&self) {
        let now = || self.turns.iter().map(|turns| turns.load(Ordering::Relaxed));
        let before: Vec<_> = now().collect();
        wait_within(PATIENCE, "the users' turns", || now().zip(&before).all(|(now, before)| now > *before));
    }

    /// Waits for this many more answers, or failures, of all users together.
    #[track_caller]
    pub fn await_answers(&self, count: usize) {
        let now = || self.turns.iter().map(|turns| turns.load(Ordering::Relaxed)).sum::<usize>();
        let enough = now() + count;
        wait_for("the users' answers", || now() >= enough);
    }

    /// Lets every user finish, and tells what they saw together.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for user in self.users {
            let seen = user.join().unwrap();
            all.waits.extend(seen.waits);
            all.failures.extend(seen.failures);
            all.raced.extend(seen.raced);
            all.builds.extend(seen.builds);
        }
        all
    }
}

/// Whether a page comes within a second.
pub fn answers(port: u16) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = Connection::open(port, Duration::from_secs(1)).and_then(|mut connection| connection.ask(request));
    answer.is_ok_and(|(answer, _)| answer.status == 200)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} after {} ms", self.request, self.reason, (self.ended - self.begun).as_millis())
    }
}

impl Seen {
    /// That nothing was lost.
    #[track_caller]
    pub fn assert_whole(&self) {
        let lost: Vec<_> = self.failures.iter().chain(&self.raced).map(Failure::to_string).collect();
        let some = lost[..lost.len().min(5)].join("\n");
        assert!(lost.is_empty(), "{} of {} were lost:\n{some}", lost.len(), self.waits.len() + lost.len());
    }
}
