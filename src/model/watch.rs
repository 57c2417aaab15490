//! Whether a build that went live does worse than the one that was live before it.

use std::fmt;

use super::layout::Role;
use super::name::BuildName;
use super::requests::{Request, Sum, Tally};
use super::words::count;

/// How far back the requests of the old build count, in seconds before the swap.
pub const BEFORE: f64 = 300.0;

/// As few failed requests as may be an accident.
const FEW_ERRORS: u64 = 5;

/// As few slow requests as may be one.
const FEW_SLOW: u64 = 20;

/// How many times as many requests may fail as failed before the swap, where that was more than the limit already.
const WORSE: f64 = 2.0;

/// So much slower nobody notices, in milliseconds.
const NOTICED_MS: f64 = 20.0;

/// How long answers are slow at least before they count: a moment in which the machine did something else is over by then.
const SLOW_SECONDS: f64 = 3.0;

/// What `[watch]` allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The part of the requests that may fail, from 0 to 1.
    pub error_rate: f64,
    /// How many times as long 95 of 100 requests may take as before.
    pub p95_ratio: f64,
}

/// What was seen of a new live build, and of the old one before it.
#[derive(Clone, Debug)]
pub struct Watch {
    new: BuildName,
    old: Option<BuildName>,
    /// The second in which the new one went live, since 1970.
    since: f64,
    limits: Limits,
    before: Tally,
    /// What those before the swap amount to, once no more of them come.
    past: Option<Sum>,
    after: Tally,
    requests: u64,
    errors: u64,
    /// Those since the swap that took longer than they may.
    slow: u64,
    /// When the first and the last of them ended.
    span: Option<(f64, f64)>,
    /// Requests of our own, where nobody else asks.
    probes: u64,
    failed: u64,
    last_failure: String,
}

/// What is wrong with a new live build, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Too many requests failed.
    Errors {
        /// Those since the swap.
        after: (u64, u64),
        /// Those before it.
        before: (u64, u64),
    },
    /// Requests take too long.
    Slow {
        /// What 95 of 100 requests do not exceed since the swap, in milliseconds.
        after: u64,
        /// The same before it.
        before: u64,
    },
    /// Its workers die.
    Deaths {
        /// How often.
        deaths: usize,
        /// How many there are.
        workers: usize,
    },
    /// It does not answer the warm-up requests as it must.
    Probes {
        /// How many were sent, and how many failed.
        probes: (u64, u64),
        /// What was wrong with the last of them.
        last: String,
    },
}

impl Watch {
    /// Looks at build `new`, which took the place of `old` at `since`, in seconds since 1970.
    pub fn new(new: BuildName, old: Option<BuildName>, since: f64, limits: Limits) -> Self {
        let (requests, errors, slow, probes, failed) = (0, 0, 0, 0, 0);
        let (before, after) = (Tally::default(), Tally::default());
        let (past, span, last_failure) = (None, None, String::new());
        Self {
            new,
            old,
            since,
            limits,
            before,
            past,
            after,
            requests,
            errors,
            slow,
            span,
            probes,
            failed,
            last_failure,
        }
    }

    /// Takes a request of the log into account; whether those before it may matter, too.
    pub fn add(&mut self, request: &Request) -> bool {
        // A worker that dies, or is not there, tells no name. Where none was asked, it is no build's fault.
        let nobodys = request.build.is_none() && request.is_error() && request.upstream.is_some();
        let (old, new) = (request.build.is_some() && request.build == self.old, request.build == Some(self.new));
        if request.role != Some(Role::Live) {
        } else if old && request.at < self.since + 1.0 || nobodys && request.at < self.since {
            self.before.add(request);
        } else if (new || nobodys) && request.at >= self.since {
            self.after.add(request);
            self.requests += 1;
            self.errors += u64::from(request.is_error());
            let (first, last) = self.span.unwrap_or((request.at, request.at));
            self.span = Some((first.min(request.at), last.max(request.at)));
            self.slow += u64::from(self.longest().is_some_and(|longest| request.milliseconds() > longest));
        }
        request.at >= self.since - BEFORE
    }

    /// From now on no request from before the swap comes.
    pub fn settle(&mut self) {
        self.past = Some(self.before.total());
        let longest = self.longest().unwrap_or(u64::MAX);
        self.slow = self.after.slower_than(longest);
    }

    /// Takes a request of our own into account: what was wrong with its answer, if anything was.
    pub fn probe(&mut self, failure: Option<String>) {
        self.probes += 1;
        self.failed += u64::from(failure.is_some());
        self.last_failure = failure.unwrap_or_default();
    }

    /// How many requests since the swap are known.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// What was seen before the swap, and since.
    pub fn sums(&self) -> (Sum, Sum) {
        (self.past.unwrap_or_default(), self.after.total())
    }

    /// What is wrong, as soon as chance does not explain it. `deaths` is how often one of its `workers` has ended.
    pub fn fault(&self, deaths: usize, workers: usize) -> Option<Fault> {
        let past = self.past.unwrap_or_default();
        let worse = if past.errors >= FEW_ERRORS { WORSE * past.errors as f64 / past.requests as f64 } else { 0.0 };
        let rate = self.limits.error_rate.max(worse).min(1.0);
        if self.errors >= FEW_ERRORS && exceeds(self.errors, self.requests, rate) {
            let (after, before) = ((self.errors, self.requests), (past.errors, past.requests));
            return Some(Fault::Errors { after, before });
        }
        if self.failed >= FEW_ERRORS && exceeds(self.failed, self.probes, self.limits.error_rate) {
            return Some(Fault::Probes { probes: (self.failed, self.probes), last: self.last_failure.clone() });
        }
        // One end each may be meant, as by uWSGI's max-requests.
        if deaths > workers.max(2) {
            return Some(Fault::Deaths { deaths, workers });
        }
        let long = self.span.is_some_and(|(first, last)| last - first >= SLOW_SECONDS);
        if long && self.slow >= FEW_SLOW && exceeds(self.slow, self.requests, 0.05) {
            return Some(Fault::Slow { after: self.after.total().p95_ms, before: past.p95_ms });
        }
        None
    }

    /// The milliseconds that 95 of 100 requests may take; `None` where too few came before to tell.
    fn longest(&self) -> Option<u64> {
        let past = self.past.filter(|past| past.requests >= FEW_SLOW)?;
        let before = past.p95_ms as f64;
        Some((before * self.limits.p95_ratio).max(before + NOTICED_MS) as u64)
    }
}

/// Whether so many of all are more than chance makes of a rate: by three standard deviations.
fn exceeds(count: u64, all: u64, rate: f64) -> bool {
    let expected = all as f64 * rate;
    count as f64 > expected + 3.0 * (expected * (1.0 - rate)).sqrt()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors { after, before } => {
                write!(
                    f,
                    "{} of {} requests failed, and {} of {} before it went live",
                    after.0, after.1, before.0, before.1
                )
            }
            Self::Slow { after, before } => {
                write!(f, "95 of 100 requests took up to {after} ms, and {before} ms before it went live")
            }
            Self::Deaths { deaths, workers } => {
                let have = if *workers == 1 { "has" } else { "have" };
                write!(f, "its {} {have} died {}", count(*workers, "worker"), count(*deaths, "time"))
            }
            Self::Probes { probes: (failed, sent), last } => {
                write!(f, "{failed} of {sent} warm-up requests failed, the last with: {last}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::requests::parse;
    use super::*;

    const LIMITS: Limits = Limits { error_rate: 0.01, p95_ratio: 2.0 };

    fn name(number: u32) -> BuildName {
        BuildName::from_number(number)
    }

    fn request(at: f64, build: &str, status: u16, milliseconds: u64) -> Request {
        let seconds = milliseconds as f64 / 1000.0;
        let line = format!(
            r#"{{"at": {at}, "role": "live", "build": "{build}", "status": {status}, "seconds": {seconds}, "upstream":
            "{seconds}", "method": "GET", "uri": "/", "bytes": 1, "client": "127.0.0.1"}}"#
        );
        parse(line.as_bytes()).unwrap()
    }

    /// So many requests of the old build a, with so many errors, in so many milliseconds; then those of the new one, b, within 10 s.
    fn watch(before: (u64, u64, u64), after: (u64, u64, u64)) -> Watch {
        let mut watch = Watch::new(name(1), Some(name(0)), 1000.0, LIMITS);
        let status = |number: u64, errors: u64| if number < errors { 500 } else { 200 };
        for number in 0..after.0 {
            watch.add(&request(1000.0 + 10.0 * number as f64 / after.0 as f64, "b", status(number, after.1), after.2));
        }
        for number in 0..before.0 {
            watch.add(&request(900.0, "a", status(number, before.1), before.2));
        }
        watch.settle();
        watch
    }

    #[test]
    fn errors_count_when_chance_does_not_explain_them() {
        let cases = [
            ((1000, 0, 10), (0, 0, 0), false),
            ((1000, 0, 10), (4, 4, 10), false),
            ((1000, 0, 10), (5, 5, 10), true),
            ((0, 0, 0), (5, 5, 10), true),
            ((1000, 0, 10), (50, 5, 10), true),
            ((1000, 0, 10), (100, 5, 10), true),
            ((1000, 0, 10), (300, 5, 10), false),
            ((1000, 0, 10), (1000, 10, 10), false),
            ((1000, 0, 10), (1000, 20, 10), true),
            ((1000, 100, 10), (1000, 150, 10), false),
            ((1000, 100, 10), (1000, 400, 10), true),
            ((4, 4, 10), (50, 50, 10), true),
        ];
        for (before, after, bad) in cases {
            let fault = watch(before, after).fault(0, 2);
            let errors = Fault::Errors { after: (after.1, after.0), before: (before.1, before.0) };
            assert_eq!(fault, bad.then_some(errors), "{before:?} {after:?}");
        }
    }

    #[test]
    fn slowness_counts_when_it_is_noticed_and_lasts() {
        let cases = [
            ((1000, 0, 50), (100, 0, 150), true),
            ((1000, 0, 50), (100, 0, 100), false),
            ((1000, 0, 50), (19, 0, 900), false),
            ((19, 0, 50), (100, 0, 900), false),
            ((1000, 0, 1), (100, 0, 3), false),
            ((1000, 0, 1), (100, 0, 21), false),
            ((1000, 0, 1), (100, 0, 22), true),
        ];
        for (before, after, bad) in cases {
            let fault = watch(before, after).fault(0, 2);
            assert_eq!(fault, bad.then_some(Fault::Slow { after: after.2, before: before.2 }), "{before:?} {after:?}");
        }
        let mut brief = watch((1000, 0, 50), (0, 0, 0));
        for number in 0..100 {
            brief.add(&request(1000.0 + 0.01 * f64::from(number), "b", 200, 500));
        }
        assert_eq!(brief.fault(0, 2), None, "all of them in one second");
        brief.add(&request(1004.0, "b", 200, 500));
        assert!(brief.fault(0, 2).is_some());
        let mut few = watch((1000, 0, 50), (1000, 0, 50));
        (0..60).for_each(|_| _ = few.add(&request(1010.0, "b", 200, 500)));
        assert_eq!(few.fault(0, 2), None, "6 of 100");
    }

    #[test]
    fn only_requests_of_live_and_of_its_time_count() {
        let mut watch = watch((100, 0, 10), (0, 0, 0));
        let staged = Request { role: Some(Role::Stage), ..request(1001.0, "b", 500, 10) };
        let maintenance = Request { upstream: None, ..request(1001.0, "", 503, 0) };
        let others = [request(1001.1, "a", 500, 10), request(1001.0, "c", 500, 10), request(1001.0, "", 200, 10)];
        for request in others.iter().chain([&staged, &maintenance]) {
            watch.add(request);
        }
        assert_eq!(watch.requests(), 0);
        (0..5).for_each(|_| _ = watch.add(&request(1001.0, "", 502, 10)));
        assert_eq!(watch.fault(0, 2), Some(Fault::Errors { after: (5, 5), before: (0, 100) }), "nobody was there");
        let mut canary = Watch::new(name(1), Some(name(0)), 1000.0, LIMITS);
        assert!(canary.add(&request(999.0, "b", 500, 10)));
        assert!(!canary.add(&request(699.0, "a", 500, 10)));
        canary.settle();
        assert_eq!(canary.sums(), (Sum { requests: 1, errors: 1, p50_ms: 10, p95_ms: 10 }, Sum::default()));
    }

    #[test]
    fn workers_may_end_once_each_and_no_more() {
        let watch = watch((0, 0, 0), (0, 0, 0));
        for (deaths, workers, bad) in
            [(0, 2, false), (2, 2, false), (3, 2, true), (2, 1, false), (8, 8, false), (9, 8, true)]
        {
            assert_eq!(watch.fault(deaths, workers), bad.then_some(Fault::Deaths { deaths, workers }));
        }
    }

    #[test]
    fn probes_count_where_nobody_asks() {
        let mut watch = watch((0, 0, 0), (0, 0, 0));
        (0..5).for_each(|_| watch.probe(None));
        (0..4).for_each(|_| watch.probe(Some("/ answered 500".into())));
        assert_eq!(watch.fault(0, 2), None);
        watch.probe(Some("/ answered 502".into()));
        let fault = watch.fault(0, 2).unwrap();
        assert_eq!(fault.to_string(), "5 of 10 warm-up requests failed, the last with: / answered 502");
    }
}
