//! HTTP requests to one build, as warm-up sends them.

use std::io;
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use reqwest::header::HOST;
use reqwest::redirect::Policy;

/// An answer, as far as warm-up wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, or why there is none.
    pub outcome: Result<u16, String>,
    /// From the request to the end of the body.
    pub took: Duration,
}

/// A client for one build's port on loopback.
#[derive(Clone, Debug)]
pub struct Browser {
    client: Client,
    base: String,
    host: String,
}

impl Browser {
    /// A client that asks 127.0.0.1 at `port` for the site `host` and gives up after `patience`.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(port: u16, host: &str, patience: Duration) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(patience)
            .redirect(Policy::none())
            // One connection a request: a kept one would stay with uWSGI's router and save nothing that matters.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, base: format!("http://127.0.0.1:{port}"), host: host.to_owned() })
    }

    /// Asks for a path and reads all of the answer.
    pub fn get(&self, path: &str) -> Answer {
        let began = Instant::now();
        let outcome = self
            .client
            .get(format!("{}{path}", self.base))
            .header(HOST, &self.host)
            .send()
            .and_then(|mut response| {
                let status = response.status().as_u16();
                response.copy_to(&mut io::sink()).map(|_| status)
            })
            .map_err(|error| reason(&error));
        Answer { outcome, took: began.elapsed() }
    }
}

/// The innermost cause: the outer ones only repeat the address.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
