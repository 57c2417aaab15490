//! The history: one change a line, in two files of which the older one goes when the newer one is full.

use std::collections::HashSet;

use super::change::Change;
use super::observed::Names;

/// The size in bytes from which a file of the history becomes the older one.
pub const FULL: u64 = 1 << 20;

/// How many moves of live the newer file takes over, so that who was live before is never lost.
const CARRIED: usize = 50;

/// The lines of both files.
#[derive(Clone, Debug, Default)]
pub struct History {
    text: String,
}

impl History {
    /// The history of the texts of its older and its newer file. What the newer one took over is counted once.
    pub fn of(older: &str, newer: &str) -> Self {
        let known: HashSet<&str> = older.lines().collect();
        let own = newer.lines().skip_while(|line| known.contains(line));
        let text = older.lines().chain(own).flat_map(|line| [line, "\n"]).collect();
        Self { text }
    }

    /// All changes, the oldest first; lines that are none as they are.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = Result<Change, &str>> {
        self.text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).map_err(|_| line))
    }

    /// What the names are, as the last one has written that had a part in them.
    pub fn names(&self) -> Names {
        let known = |change: Change| Some(change.to).filter(|names| *names != Names::default());
        self.changes().rev().filter_map(Result::ok).find_map(known).unwrap_or_default()
    }

    /// The lines with which a new file begins.
    pub fn carried(&self) -> String {
        let mut named = false;
        // Of the names, also the last that is known.
        let counts = |line: &&str| {
            let Ok(change) = serde_json::from_str::<Change>(line) else { return false };
            let first = change.to != Names::default() && !std::mem::replace(&mut named, true);
            first || change.from.live != change.to.live
        };
        let mut lines: Vec<&str> = self.text.lines().rev().filter(counts).take(CARRIED).collect();
        lines.reverse();
        lines.into_iter().flat_map(|line| [line, "\n"]).collect()
    }
}

/// A line as it is appended to a file that ends with some byte, if it has any: what was torn before stays by itself.
pub fn closed(last: Option<u8>, line: &str) -> String {
    let start = if last.is_some_and(|last| last != b'\n') { "\n" } else { "" };
    format!("{start}{line}\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;
    use crate::model::change::{Action, By, Outcome};
    use crate::model::name::BuildName;

    const GOOD: &str = r#"{"at": 1, "action": "swap", "command": "swap-live", "by": {"user": "ann", "sudo": null}, "build": "b",
        "tag": null, "commit": null, "from": {"live": "a", "stage": "b"}, "to": {"live": "b", "stage": "a"}, "seconds": 0,
        "result": "done", "code": 0, "reason": null}"#;

    fn line(at: u64, from: [u32; 2], to: [u32; 2]) -> String {
        let names = |of: [u32; 2]| Names {
            live: Some(BuildName::from_number(of[0])),
            stage: Some(BuildName::from_number(of[1])),
        };
        let by = By { user: "ann".into(), sudo: None };
        let change = Change {
            at,
            action: Action::Swap,
            command: "swap-live".into(),
            by,
            build: None,
            tag: None,
            commit: None,
            from: names(from),
            to: names(to),
            seconds: 0.5,
            result: Outcome::Done,
            code: 0,
            reason: None,
        };
        serde_json::to_string(&change).unwrap()
    }

    fn times(history: &History) -> Vec<Option<u64>> {
        history.changes().map(|change| change.ok().map(|change| change.at)).collect()
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(older in damaged(GOOD), newer in damaged(GOOD)) {
            let history = History::of(&older, &newer);
            history.names();
            history.carried();
            history.changes().count();
        }

        #[test]
        fn a_line_is_found_whatever_is_before_it(before in ".{0,20}(\n.{0,20}){0,3}") {
            let text = before.clone() + &closed(before.bytes().last(), &line(7, [0, 1], [1, 0]));
            let times = times(&History::of("", &text));
            prop_assert_eq!(times.last(), Some(&Some(7)));
        }
    }

    #[test]
    fn a_torn_line_is_shown_and_hides_no_other() {
        let (first, second) = (line(1, [0, 1], [1, 0]), line(2, [1, 0], [0, 1]));
        let torn = format!("{first}\n{}\n\n{second}\n", &second[..20]);
        let history = History::of("", &torn);
        assert_eq!(times(&history), [Some(1), None, Some(2)]);
        assert_eq!(history.names().live, Some(BuildName::FIRST));
    }

    #[test]
    fn a_new_file_begins_with_who_was_live_and_that_is_counted_once() {
        let staged = |at, stage| line(at, [1, 0], [1, stage]) + "\n";
        let older = line(1, [0, 1], [1, 0]) + "\n" + &staged(2, 3) + &staged(3, 2);
        let carried = History::of("", &older).carried();
        assert_eq!(carried, line(1, [0, 1], [1, 0]) + "\n" + &staged(3, 2));
        let newer = carried + &staged(4, 4);
        // What the older file got last is there, too, if somebody appended while they changed.
        assert_eq!(times(&History::of(&older, &newer)), [Some(1), Some(2), Some(3), Some(4)]);
        // Killed between the two halves of it.
        assert_eq!(times(&History::of(&older, &older)), [Some(1), Some(2), Some(3)]);
        assert_eq!(times(&History::of("", &newer)), [Some(1), Some(3), Some(4)]);
    }

    #[test]
    fn the_names_are_those_of_the_last_who_had_a_part_in_them() {
        let text = [
            line(1, [0, 1], [2, 0]),
            GOOD.replace('\n', " ").replace(r#""live": "b", "stage": "a""#, r#""live": null, "stage": null"#),
        ];
        let names = History::of("", &text.join("\n")).names();
        assert_eq!((names.live, names.stage), (Some(BuildName::from_number(2)), Some(BuildName::FIRST)));
        assert_eq!(History::default().names(), Names::default());
    }
}
