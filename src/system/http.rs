//! HTTP requests to one build, as warm-up sends them, or to nginx.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use reqwest::header::HOST;
use reqwest::redirect::Policy;

/// As much of a body as is kept, in bytes: whoever looks for a text in a page finds it there.
const KEPT: usize = 1 << 20;

/// An answer, as far as warm-up wants to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, or why there is none.
    pub outcome: Result<u16, String>,
    /// The begin of the body, up to 1 MB, as text.
    pub body: String,
    /// From the request to the end of the body.
    pub took: Duration,
}

/// A client for one server of this host.
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
        Self::at((Ipv4Addr::LOCALHOST, port).into(), host, patience)
    }

    /// A client that asks at an address.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn at(address: SocketAddr, host: &str, patience: Duration) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(patience)
            .redirect(Policy::none())
            // One connection a request: a kept one would stay with uWSGI's router and save nothing that matters.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, base: format!("http://{address}"), host: host.to_owned() })
    }

    /// Asks for a path: the status, and whether the answer has a header.
    ///
    /// # Errors
    /// No answer, and why.
    pub fn marked(&self, path: &str, header: &str) -> Result<(u16, bool), String> {
        let response = self.client.get(format!("{}{path}", self.base)).header(HOST, &self.host).send();
        let response = response.map_err(|error| reason(&error))?;
        Ok((response.status().as_u16(), response.headers().contains_key(header)))
    }

    /// Asks for a path and reads all of the answer.
    pub fn get(&self, path: &str) -> Answer {
        let began = Instant::now();
        let mut body = Begin::default();
        let outcome = self
            .client
            .get(format!("{}{path}", self.base))
            .header(HOST, &self.host)
            .send()
            .and_then(|mut response| {
                let status = response.status().as_u16();
                response.copy_to(&mut body).map(|_| status)
            })
            .map_err(|error| reason(&error));
        Answer { outcome, body: String::from_utf8_lossy(&body.0).into_owned(), took: began.elapsed() }
    }
}

/// Takes all, and keeps the begin.
#[derive(Default)]
struct Begin(Vec<u8>);

impl Write for Begin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = KEPT.saturating_sub(self.0.len());
        self.0.extend(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_begin_of_a_body_is_kept() {
        let mut body = Begin::default();
        for _ in 0..3 {
            io::copy(&mut [b'x'; KEPT / 2 + 1].as_slice(), &mut body).unwrap();
        }
        assert_eq!(body.0.len(), KEPT);
    }
}
