//! What kills cost, and whether that is more than they may.

use std::time::{Duration, Instant};

use super::processes::{Death, Part};
use super::table;
use crate::load::{Failure, REFUSED, Seen};

/// One kill.
pub struct Round {
    pub begun: Instant,
    /// How long it took until all was as before; `None` where it never was.
    pub recovered: Option<Duration>,
    pub deaths: Vec<Death>,
}

/// What a kill may cost besides the requests in what died.
#[derive(Default)]
pub struct Limits {
    /// The longest wait of a request that is answered; `None` where any will do.
    pub wait: Option<Duration>,
    /// Whether nothing listens for a while, so that users are refused.
    pub down: bool,
}

/// What was lost in a round.
struct Loss {
    /// Requests that were under way in a process that died.
    own: usize,
    other: Vec<String>,
    /// Of those that were answered.
    longest: Duration,
}

pub const HEADER: [&str; 9] =
    ["killed", "rounds", "requests", "lost", "in it", "other", "longest wait s", "recovered after s", "at most"];

/// The row of a fault, and what is worse than it may be.
pub fn judge(name: &str, rounds: &[Round], seen: &Seen, limits: &Limits) -> (Vec<String>, Vec<String>) {
    let losses: Vec<_> = (0..rounds.len()).map(|number| loss(rounds, number, seen)).collect();
    let own: usize = losses.iter().map(|loss| loss.own).sum();
    let other: Vec<_> = losses.iter().flat_map(|loss| &loss.other).map(String::as_str).collect();
    let longest = losses.iter().map(|loss| loss.longest).max().unwrap_or_default();
    let mut back: Vec<_> = rounds.iter().filter_map(|round| round.recovered).collect();
    back.sort_unstable();
    let never = rounds.len() - back.len();

    let mut complaints = Vec::new();
    let mut mark = |cell: String, complaint: Option<String>| match complaint {
        None => cell,
        Some(complaint) => {
            complaints.push(format!("{name}: {complaint}"));
            format!("! {cell}")
        }
    };
    let asked = seen.waits.len() + seen.failures.len() + seen.raced.len();
    let strangers = (!other.is_empty() && !limits.down)
        .then(|| format!("requests were lost that no dead process had: {}", other[..other.len().min(3)].join("; ")));
    let too_long = limits.wait.filter(|limit| longest > *limit);
    let row = vec![
        name.to_owned(),
        rounds.len().to_string(),
        asked.to_string(),
        (own + other.len()).to_string(),
        own.to_string(),
        mark(other.len().to_string(), strangers),
        mark(seconds(longest), too_long.map(|limit| format!("a request waited more than {} s", seconds(limit)))),
        seconds(table::percentile(&back, 50)),
        match never {
            0 => seconds(table::percentile(&back, 100)),
            _ => mark(format!("{never} never"), Some("the site did not come back".into())),
        },
    ];
    (row, complaints)
}

/// What was lost between one kill and the next.
fn loss(rounds: &[Round], number: usize, seen: &Seen) -> Loss {
    let from = rounds[number].begun;
    let within = |at: Instant| at >= from && rounds.get(number + 1).is_none_or(|next| at < next.begun);
    let mut lost: Vec<&Failure> =
        seen.failures.iter().chain(&seen.raced).filter(|failure| within(failure.ended)).collect();
    lost.sort_unstable_by_key(|failure| failure.ended);
    let all = lost.len();
    for death in &rounds[number].deaths {
        for _ in 0..requests_of(death.part).min(lost.len()) {
            let Some(at) = lost.iter().position(|failure| was_in(failure, death)) else { break };
            lost.remove(at);
        }
    }
    let waits = seen.waits.iter().filter(|wait| within(wait.begun + wait.length));
    Loss {
        own: all - lost.len(),
        other: lost.iter().map(|failure| failure.to_string()).collect(),
        longest: waits.map(|wait| wait.length).max().unwrap_or_default(),
    }
}

/// How many requests a process may have under way.
fn requests_of(part: Part) -> usize {
    match part {
        Part::Worker => 1,
        Part::NginxWorker | Part::NginxLeaver | Part::Router => usize::MAX,
        _ => 0,
    }
}

/// Whether a request may have been lost with a process: it had begun when that died, and its user was told soon. What
/// dies closes its connections a little before it is gone.
fn was_in(failure: &Failure, death: &Death) -> bool {
    const SOON: Duration = Duration::from_millis(500);
    let told = death.from - SOON..death.to + SOON;
    !failure.reason.starts_with(REFUSED) && failure.begun <= death.to && told.contains(&failure.ended)
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
