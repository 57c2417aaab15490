//! What ran when, in the Trace Event Format that trace viewers of browsers open.

use std::time::Duration;

use serde_json::{Value, json};

/// Something that ran, and when, since the begin of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: &'static str,
    /// When it began.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// What it says of itself, or what failed.
    pub note: Option<String>,
    /// Whether it took what an earlier one had made.
    pub reused: bool,
    /// Whether it failed, or was stopped.
    pub failed: bool,
}

/// A trace of `spans`, under a title. What ran at the same time is in different rows.
///
/// Source: the Trace Event Format, "complete events"; times are microseconds.
pub fn trace(title: &str, spans: &[Span]) -> Value {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by_key(|span| span.began);
    // When each row is free again.
    let mut rows: Vec<Duration> = Vec::new();
    let mut events = vec![json!({"name": "process_name", "ph": "M", "pid": 1, "args": {"name": title}})];
    for span in spans {
        let row = rows.iter().position(|free| *free <= span.began).unwrap_or(rows.len());
        let end = span.began + span.took;
        match rows.get_mut(row) {
            Some(free) => *free = end,
            None => rows.push(end),
        }
        events.push(json!({
            "name": span.name,
            "cat": "step",
            "ph": "X",
            "ts": microseconds(span.began),
            "dur": microseconds(end) - microseconds(span.began),
            "pid": 1,
            "tid": row + 1,
            "args": {"note": span.note, "reused": span.reused, "failed": span.failed},
        }));
    }
    json!({"traceEvents": events, "displayTimeUnit": "ms"})
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &'static str, began: u64, took: u64) -> Span {
        let (began, took) = (Duration::from_millis(began), Duration::from_millis(took));
        Span { name, began, took, note: None, reused: false, failed: false }
    }

    #[test]
    fn what_ran_at_the_same_time_is_in_different_rows() {
        // In the order in which they ended.
        let spans = [span("source", 0, 5), span("node", 5, 4), span("python", 5, 10), span("conf", 9, 1)];
        let trace = trace("create c", &spans);
        let events = trace["traceEvents"].as_array().unwrap();
        assert_eq!(events[0]["args"]["name"], "create c");
        let rows: Vec<_> = events[1..].iter().map(|event| format!("{} {}", event["name"], event["tid"])).collect();
        assert_eq!(rows, [r#""source" 1"#, r#""node" 1"#, r#""python" 2"#, r#""conf" 1"#]);
        assert_eq!((&events[3]["ts"], &events[3]["dur"]), (&5000.into(), &10_000.into()));
    }
}
