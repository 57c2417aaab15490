//! The requests of a site as its nginx writes them, one JSON object a line, and what they amount to.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::layout::Role;
use super::name::BuildName;

/// A request that nginx has answered, as far as it tells how a build does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Request {
    /// When its answer had been sent, in seconds since 1970.
    pub at: f64,
    /// The server that it came to; `None` where it broke off before nginx knew.
    #[serde(deserialize_with = "role")]
    pub role: Option<Role>,
    /// The build whose worker answered; `None` where nginx itself did, for want of a worker or because it had no need of one.
    #[serde(deserialize_with = "build")]
    pub build: Option<BuildName>,
    /// The HTTP status that the client got. 499: it did not wait for one.
    pub status: u16,
    /// How long all of it took, in seconds: also the client's sending and receiving.
    pub seconds: f64,
    /// How long workers took, in seconds, the wait for a free one included; `None` where none was asked.
    #[serde(deserialize_with = "upstream")]
    pub upstream: Option<f64>,
}

/// Reads a line of the log; `None` where it is none of ours, such as one that a full disk has cut.
pub fn parse(line: &[u8]) -> Option<Request> {
    // A client may send any bytes as its URI, and nginx writes them as they are.
    serde_json::from_str(&String::from_utf8_lossy(line)).ok()
}

impl Request {
    /// Whether the site failed it.
    pub fn is_error(&self) -> bool {
        self.status >= 500
    }

    /// How long it took, in milliseconds: the workers, where one was asked, as a slow client is no fault of theirs.
    pub fn milliseconds(&self) -> u64 {
        // What is too large, or below zero, becomes the nearest number that is not.
        (self.upstream.unwrap_or(self.seconds) * 1000.0).round() as u64
    }
}

/// Requests, counted for each build; `None` are those that nginx itself answered.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    builds: BTreeMap<Option<BuildName>, Counted>,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    errors: u64,
    milliseconds: Vec<u64>,
}

/// What the requests of a build amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many there were.
    pub requests: u64,
    /// Those with a status of 500 or above.
    pub errors: u64,
    /// Half of them took at most so many milliseconds; 0 where there was none.
    pub p50_ms: u64,
    /// 95 of 100 took at most so many milliseconds; 0 where there was none.
    pub p95_ms: u64,
}

impl Tally {
    /// Counts a request.
    pub fn add(&mut self, request: &Request) {
        let counted = self.builds.entry(request.build).or_default();
        counted.errors += u64::from(request.is_error());
        counted.milliseconds.push(request.milliseconds());
    }

    /// What those of a build amount to, or of nginx itself.
    pub fn sum(&self, build: Option<BuildName>) -> Sum {
        self.builds.get(&build).map(Counted::sum).unwrap_or_default()
    }

    /// How many took longer than so many milliseconds.
    pub fn slower_than(&self, longest: u64) -> u64 {
        let times = self.builds.values().flat_map(|counted| &counted.milliseconds);
        times.filter(|&&time| time > longest).count() as u64
    }

    /// What all of them amount to.
    pub fn total(&self) -> Sum {
        let milliseconds = self.builds.values().flat_map(|counted| counted.milliseconds.iter().copied()).collect();
        Counted { errors: self.builds.values().map(|counted| counted.errors).sum(), milliseconds }.sum()
    }
}

impl Counted {
    fn sum(&self) -> Sum {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_unstable();
        // The smallest that at least so many of a hundred do not exceed.
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Sum { requests: sorted.len() as u64, errors: self.errors, p50_ms: percentile(50), p95_ms: percentile(95) }
    }
}

fn role<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Role>, D::Error> {
    Ok(match String::deserialize(text)?.as_str() {
        "live" => Some(Role::Live),
        "stage" => Some(Role::Stage),
        _ => None,
    })
}

/// A header of the application's own may have told anything.
fn build<'de, D: Deserializer<'de>>(text: D) -> Result<Option<BuildName>, D::Error> {
    Ok(String::deserialize(text)?.parse().ok())
}

/// nginx writes a time for each worker that it asked: `0.011`, `0.011, 0.2 : 0.1`, and `-` for one that it gave up.
fn upstream<'de, D: Deserializer<'de>>(text: D) -> Result<Option<f64>, D::Error> {
    let text = String::deserialize(text)?;
    let times = text.split([',', ':', ' ']).filter_map(|time| time.parse::<f64>().ok()).filter(|time| time.is_finite());
    Ok(times.fold(None, |sum, time| Some(sum.unwrap_or(0.0) + time)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    const GOOD: &str = r#"{"at": 1763800000.123, "role": "live", "build": "c", "status": 200, "seconds": 0.500,
        "upstream": "0.011", "method": "GET", "uri": "/a?b=\"", "bytes": 512, "client": "127.0.0.1"}"#;

    fn request(changes: &[(&str, &str)]) -> Option<Request> {
        let text = changes.iter().fold(GOOD.to_owned(), |text, (from, to)| text.replace(from, to));
        parse(text.as_bytes())
    }

    #[test]
    fn a_line_is_understood() {
        let expected = Request {
            at: 1_763_800_000.123,
            role: Some(Role::Live),
            build: "c".parse().ok(),
            status: 200,
            seconds: 0.5,
            upstream: Some(0.011),
        };
        assert_eq!(parse(GOOD.as_bytes()), Some(expected));
    }

    #[test]
    fn what_nginx_could_not_tell_is_none() {
        let nginx = request(&[("\"c\"", "\"\""), ("\"0.011\"", "\"\""), ("\"live\"", "\"\"")]).unwrap();
        assert_eq!((nginx.role, nginx.build, nginx.upstream), (None, None, None));
        for (text, seconds) in [("-", None), ("0.1, 0.2", Some(0.1 + 0.2)), ("-, 0.2 : 0.1", Some(0.2 + 0.1))] {
            assert_eq!(request(&[("0.011", text)]).unwrap().upstream, seconds, "{text}");
        }
        assert_eq!(request(&[("200", "000")]), None);
        let mut bytes = GOOD.as_bytes().to_vec();
        let uri = bytes.windows(2).position(|two| two == b"/a").unwrap();
        bytes[uri + 1] = 0xff;
        assert_eq!(parse(&bytes).unwrap().status, 200);
    }

    #[test]
    fn requests_are_summed_for_each_build() {
        let mut tally = Tally::default();
        for milliseconds in 1..=100 {
            let status = if milliseconds % 10 == 0 { "500" } else { "404" };
            let upstream = format!("{}", f64::from(milliseconds) / 1000.0);
            tally.add(&request(&[("200", status), ("0.011", &upstream)]).unwrap());
        }
        tally.add(&request(&[("\"c\"", "\"\""), ("0.011", ""), ("200", "503")]).unwrap());
        let c: BuildName = "c".parse().unwrap();
        assert_eq!(tally.sum(Some(c)), Sum { requests: 100, errors: 10, p50_ms: 50, p95_ms: 95 });
        assert_eq!(tally.sum(None), Sum { requests: 1, errors: 1, p50_ms: 500, p95_ms: 500 });
        assert_eq!(tally.sum("d".parse().ok()), Sum::default());
        assert_eq!(tally.slower_than(99), 2);
        assert_eq!(tally.total(), Sum { requests: 101, errors: 11, p50_ms: 51, p95_ms: 96 });
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in damaged(GOOD)) {
            let mut tally = Tally::default();
            if let Some(request) = parse(text.as_bytes()) {
                tally.add(&request);
                prop_assert_eq!(tally.sum(request.build).requests, 1);
            }
        }
    }
}
