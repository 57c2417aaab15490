//! One user of a site.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use super::http::{Answer, Connection, Lost};
use super::{Crowd, Failure, KeepAlive, PATIENCE, Seen, Wait};

/// How long a slow request takes.
const SLOW: Duration = Duration::from_secs(2);

/// How long a user pauses who got no good answer.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// The longest time between a page and a file that it names.
const LATER: u64 = 10_000;

/// Somebody who sends the next request as soon as the last one is answered.
pub struct User {
    number: usize,
    port: u16,
    files: u16,
    keep_alive: bool,
    slow: bool,
    turn: usize,
    /// The one that was kept, and its port.
    kept: Option<(u16, Connection)>,
    later: BinaryHeap<Reverse<Asset>>,
    seen: Seen,
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
}

/// A file that a page of a build named, and when it will be asked for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Asset {
    due: Instant,
    url: String,
    build: String,
}

impl User {
    /// `turns` counts the requests that have ended.
    pub fn new(crowd: &Crowd, number: usize, stop: Arc<AtomicBool>, turns: Arc<AtomicUsize>) -> Self {
        Self {
            number,
            port: crowd.port,
            files: crowd.files,
            keep_alive: match crowd.keep_alive {
                KeepAlive::All => true,
                KeepAlive::Half => number.is_multiple_of(2),
                KeepAlive::None => false,
            },
            slow: number < crowd.slow,
            turn: 0,
            kept: None,
            later: BinaryHeap::new(),
            seen: Seen::default(),
            stop,
            turns,
        }
    }

    /// Asks until told to stop, and then for the files that are left.
    pub fn run(mut self) -> Seen {
        while !self.stop.load(Ordering::Relaxed) {
            let due = self.later.peek().is_some_and(|asset| asset.0.due <= Instant::now());
            match due.then(|| self.later.pop()).flatten() {
                Some(Reverse(asset)) => self.fetch(asset),
                None => self.take_turn(),
            }
        }
        while let Some(Reverse(asset)) = self.later.pop() {
            self.fetch(asset);
        }
        self.seen
    }

    fn take_turn(&mut self) {
        self.turn += 1;
        match self.turn % 8 {
            _ if self.slow => self.page("/slow?seconds=2", SLOW),
            0 => self.echo(self.turn * 7919 % 200_000),
            2 | 4 | 6 => self.echo(self.turn * 31 % 2_000),
            _ => self.page("/", Duration::ZERO),
        }
    }

    /// Asks for a page, and notes the files that it names.
    fn page(&mut self, path: &str, takes: Duration) {
        let Some(answer) = self.ask("GET", path, b"", takes, |answer| {
            let (text, build) = (String::from_utf8_lossy(&answer.body), build(answer)?);
            let whole = text.contains(&format!("<title>{build}</title>")) && text.ends_with("</html>\n");
            if whole && assets(&text).count() > 0 { Ok(()) } else { Err(format!("no page: {text}")) }
        }) else {
            return;
        };
        let build = build(&answer).unwrap().to_owned();
        for (number, url) in assets(&String::from_utf8_lossy(&answer.body)).enumerate() {
            let wait = (self.turn * 7919 + self.number * 131 + number * 5003) as u64 % LATER;
            let due = Instant::now() + Duration::from_millis(wait);
            self.later.push(Reverse(Asset { due, url: url.to_owned(), build: build.clone() }));
        }
        self.seen.builds.insert(build);
    }

    /// Posts a body that nobody else sends, and wants it back.
    fn echo(&mut self, length: usize) {
        let body: Vec<u8> = format!("{}/{} ", self.number, self.turn).bytes().cycle().take(length).collect();
        self.ask("POST", "/echo", &body, Duration::ZERO, |answer| match answer.body == body {
            true => build(answer).map(drop),
            false => Err(format!("{} bytes came back of {length}", answer.body.len())),
        });
    }

    /// Asks for a file of the build whose page named it.
    fn fetch(&mut self, asset: Asset) {
        let mark = format!("/* {} */\n", asset.build);
        self.ask("GET", &asset.url, b"", Duration::ZERO, |answer| {
            let text = String::from_utf8_lossy(&answer.body);
            let whole = text.starts_with(&mark) && text.ends_with(&mark);
            if whole {
                Ok(())
            } else {
                Err(format!("not of build {}: {}", asset.build, text.lines().next().unwrap_or("")))
            }
        });
    }

    /// One request, written down; its answer if it was a right one.
    fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
        takes: Duration,
        right: impl Fn(&Answer) -> Result<(), String>,
    ) -> Option<Answer> {
        let connection = if self.keep_alive { "keep-alive" } else { "close" };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        let begun = Instant::now();
        let by_app = !path.starts_with("/static/");
        let answer = self.send(if by_app { self.port } else { self.files }, &request);
        let ended = Instant::now();
        self.turns.fetch_add(1, Ordering::Relaxed);
        let failure = |reason| Failure { request: format!("{method} {path}"), begun, ended, reason };
        let reason = match answer {
            Ok(answer) if answer.status != 200 => format!("status {}", answer.status),
            Ok(answer) => match right(&answer) {
                Ok(()) => {
                    self.seen.waits.push(Wait { begun, length: (ended - begun).saturating_sub(takes), by_app });
                    return Some(answer);
                }
                Err(reason) => reason,
            },
            Err(Lost::Broken(reason)) => reason,
            Err(Lost::Raced) => {
                self.seen.raced.push(failure("the server closed the connection meanwhile".into()));
                return None;
            }
        };
        self.seen.failures.push(failure(reason));
        // Where there is nobody, asking on and on would only take the time of those who come back.
        park_timeout(AFTER_FAILURE);
        None
    }

    fn send(&mut self, port: u16, request: &[u8]) -> Result<Answer, Lost> {
        let kept = self.kept.take().filter(|(to, connection)| *to == port && !connection.is_closed());
        let mut connection = match kept {
            Some((_, connection)) => connection,
            None => Connection::open(port, PATIENCE)?,
        };
        let (answer, more) = connection.ask(request)?;
        self.kept = Some((port, connection)).filter(|_| self.keep_alive && more);
        Ok(answer)
    }
}

/// The build that answered, by letter and tag.
fn build(answer: &Answer) -> Result<&str, String> {
    answer.header("x-build").ok_or_else(|| "no build is named".into())
}

/// The static files that a page names.
fn assets(page: &str) -> impl Iterator<Item = &str> {
    page.split('"').filter(|part| part.starts_with("/static/"))
}
