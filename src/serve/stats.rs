//! uWSGI's stats: what a socket says, made into what the model knows.

use std::fmt;
use std::io::{self, BufReader};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};

use super::Trouble;
use crate::model::name::BuildName;
use crate::model::observed::Worker;
use crate::system::socket::{self, Answer};

/// The longest list. Items take more room in memory than in an answer, and no site has as many workers or builds.
const MOST: usize = 10_000;

/// The part of a zerg's stats that matters. What else is there, such as request headers, is never kept.
#[derive(Debug, Deserialize)]
struct ZergStats {
    #[serde(deserialize_with = "few")]
    workers: Vec<WorkerStats>,
}

#[derive(Debug, Deserialize)]
struct WorkerStats {
    id: u32,
    pid: i32,
    status: String,
    accepting: u8,
    respawn_count: u32,
    requests: u64,
    exceptions: u64,
    #[serde(default)]
    apps: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    cores: Vec<Core>,
}

#[derive(Debug, Deserialize)]
struct Core {
    in_request: u32,
}

/// A question at a stats socket. It may be answered while others are asked.
pub struct Question {
    socket: PathBuf,
    answer: io::Result<Answer>,
}

impl Question {
    /// Asks, and does not wait for the answer.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), answer: socket::ask(socket) }
    }

    /// The question again, if this user may ask it: otherwise nobody knows whether somebody would answer.
    ///
    /// # Errors
    /// The socket, or a directory above it, is closed to this user.
    pub fn permitted(self, name: BuildName) -> Result<Self, Trouble> {
        match &self.answer {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Trouble::Closed { what: format!("build {name}"), path: self.socket })
            }
            _ => Ok(self),
        }
    }

    /// Whether somebody answers.
    pub fn answered(self) -> bool {
        self.answer.and_then(|mut answer| io::copy(&mut answer, &mut io::sink())).is_ok()
    }

    /// The workers of the zerg that was asked.
    ///
    /// # Errors
    /// Nobody answers, or it is no stats socket.
    pub fn workers(self) -> Result<Vec<Worker>, Trouble> {
        let stats: ZergStats = self.read()?;
        Ok(stats.workers.into_iter().map(Worker::from).collect())
    }

    fn read<T: DeserializeOwned>(self) -> Result<T, Trouble> {
        let answer = self.answer.map_err(|error| error.to_string());
        let stats = answer
            .and_then(|answer| serde_json::from_reader(BufReader::new(answer)).map_err(|error| error.to_string()));
        stats.map_err(|problem| Trouble::BadStats { socket: self.socket, problem })
    }
}

/// Whether nobody listens at a stats socket. One who is too busy to answer is somebody.
pub fn silent(socket: &Path) -> bool {
    socket::listen(socket).is_err_and(|error| socket::nobody(&error))
}

/// Whether somebody answers at a stats socket.
pub fn answers(socket: &Path) -> bool {
    Question::at(socket).answered()
}

/// The workers of the zerg whose stats are at `socket`.
///
/// # Errors
/// Nobody answers, or it is no stats socket.
pub fn workers(socket: &Path) -> Result<Vec<Worker>, Trouble> {
    Question::at(socket).workers()
}

/// Reads and parses the stats at `socket`.
///
/// # Errors
/// Nobody answers, or what it says is not of this shape.
pub fn read<T: DeserializeOwned>(socket: &Path) -> Result<T, Trouble> {
    Question::at(socket).read()
}

/// Reads a list of at most [`MOST`] items.
pub(super) fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(list: D) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "a list of at most {MOST} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                if items.len() == MOST {
                    return Err(serde::de::Error::invalid_length(MOST + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    list.deserialize_seq(Few(PhantomData))
}

impl From<WorkerStats> for Worker {
    fn from(stats: WorkerStats) -> Self {
        Self {
            id: stats.id,
            pid: stats.pid,
            accepting: stats.accepting == 1,
            loaded: !stats.apps.is_empty(),
            spawns: stats.respawn_count,
            requests: stats.requests,
            exceptions: stats.exceptions,
            threads: stats.cores.len(),
            in_request: stats.cores.iter().fold(0, |sum, core| sum.saturating_add(core.in_request)),
            status: stats.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in damaged(GOOD)) {
            if let Ok(stats) = serde_json::from_str::<ZergStats>(&text) {
                let workers: Vec<Worker> = stats.workers.into_iter().map(Worker::from).collect();
                prop_assert!(!serde_json::to_string(&workers).unwrap().contains("COOKIE"));
            }
        }
    }

    #[test]
    fn a_list_that_no_site_has_is_refused() {
        let text = |many: usize| format!("[{}]", vec!["1"; many].join(","));
        let read = |text: &str| few::<_, u8>(&mut serde_json::Deserializer::from_str(text));
        assert_eq!(read(&text(MOST)).unwrap().len(), MOST);
        assert!(read(&text(MOST + 1)).is_err());
    }

    const GOOD: &str = r#"{"version": "2.0.21", "workers": [{"id": 1, "pid": 9, "accepting": 1, "respawn_count": 1,
            "requests": 2, "exceptions": 1, "status": "busy", "apps": [{"id": 0}],
            "cores": [{"in_request": 1, "vars": ["COOKIE=secret"]}, {"in_request": 1}]}]}"#;

    #[test]
    fn a_workers_stats_are_understood() {
        let stats: ZergStats = serde_json::from_str(GOOD).unwrap();
        let worker = Worker::from(stats.workers.into_iter().next().unwrap());
        let expected = Worker {
            id: 1,
            pid: 9,
            status: "busy".into(),
            accepting: true,
            loaded: true,
            spawns: 1,
            requests: 2,
            exceptions: 1,
            threads: 2,
            in_request: 2,
        };
        assert_eq!(worker, expected);
    }
}
