//! Users of a site, who never stop asking.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::Value;

/// Threads that send requests, each on a new connection, until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<Seen>>,
}

/// What the users saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub answers: usize,
    pub failures: Vec<String>,
    /// The builds that answered.
    pub builds: BTreeSet<String>,
}

impl Load {
    /// Users that by turns GET a page and POST a form to a port.
    pub fn on(port: u16, users: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let users = (0..users).map(|_| {
            let stop = Arc::clone(&stop);
            spawn(move || ask_until(&stop, port))
        });
        Self { users: users.collect(), stop }
    }

    /// Lets every user finish, and tells what they saw together.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for user in self.users {
            let seen = user.join().unwrap();
            all.answers += seen.answers;
            all.failures.extend(seen.failures);
            all.builds.extend(seen.builds);
        }
        all
    }
}

fn ask_until(stop: &AtomicBool, port: u16) -> Seen {
    let client =
        Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(60)).build().unwrap();
    let url = format!("http://localhost:{port}/");
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        for (sent, request) in [(0, client.get(&url)), (50_000, client.post(&url).body("x".repeat(50_000)))] {
            let answer =
                request.send().and_then(|response| response.error_for_status()).and_then(|answer| answer.text());
            let said = answer.as_ref().ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
            match said {
                Some(said) if said["received"] == sent => {
                    seen.answers += 1;
                    seen.builds.insert(said["build"].as_str().unwrap().to_owned());
                }
                _ => seen.failures.push(format!("{answer:?}")),
            }
        }
    }
    seen
}
