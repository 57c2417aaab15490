use std::fs::OpenOptions;
use std::io::Write;

use super::*;

/// A log in a directory of its own.
struct Log(PathBuf);

impl Log {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("builds-follow-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&directory));
        fs::create_dir_all(&directory).unwrap();
        Self(directory.join("log"))
    }

    fn add(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(self.0.parent().unwrap()));
    }
}

fn read(follower: &mut Follower) -> Vec<String> {
    let mut lines = Vec::new();
    follower.lines(|line| lines.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
    lines
}

/// The last lines of a log, oldest first, and who follows it from there.
fn last(log: &Log, count: usize) -> (Vec<String>, Follower) {
    let mut lines = Vec::new();
    let follower = backwards(&log.0, |line| {
        lines.push(String::from_utf8(line.to_vec()).unwrap());
        lines.len() < count
    });
    lines.reverse();
    (lines, follower.unwrap())
}

#[test]
fn lines_come_when_they_are_whole() {
    let log = Log::new("whole");
    log.add("old\n");
    let mut follower = backwards(&log.0, |_| false).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    log.add("one\ntwo\nthr");
    assert_eq!(read(&mut follower), ["one", "two"]);
    log.add("ee");
    assert_eq!(read(&mut follower), [""; 0]);
    log.add("\n\nfour\n");
    assert_eq!(read(&mut follower), ["three", "", "four"]);
}

#[test]
fn a_line_that_was_begun_before_comes_whole() {
    let log = Log::new("begun");
    log.add("one\ntw");
    let mut follower = backwards(&log.0, |_| false).unwrap();
    log.add("o\n");
    assert_eq!(read(&mut follower), ["two"]);
}

#[test]
fn a_log_that_comes_later_is_read_from_its_start() {
    let log = Log::new("later");
    let mut follower = backwards(&log.0, |_| false).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    log.add("one\n");
    assert_eq!(read(&mut follower), ["one"]);
}

#[test]
fn a_renamed_log_is_read_to_its_end_and_the_new_one_from_its_start() {
    let log = Log::new("renamed");
    log.add("one\n");
    let mut follower = backwards(&log.0, |_| false).unwrap();
    let mut writer = OpenOptions::new().append(true).open(&log.0).unwrap();
    fs::rename(&log.0, log.0.with_extension("1")).unwrap();
    writer.write_all(b"two\n").unwrap();
    assert_eq!(read(&mut follower), ["two"], "before there is a new one");
    writer.write_all(b"three\n").unwrap();
    log.add("five\n");
    assert_eq!(read(&mut follower), ["three", "five"]);
    writer.write_all(b"four\nsi").unwrap();
    assert_eq!(read(&mut follower), ["four"], "who has not been told of the new one writes to the old one");
    fs::rename(&log.0, log.0.with_extension("2")).unwrap();
    log.add("seven\n");
    assert_eq!(read(&mut follower), ["si", "seven"], "a line without an end ends with its file");
}

#[test]
fn a_log_that_was_copied_and_made_empty_is_read_from_its_start() {
    let log = Log::new("truncated");
    log.add("one\ntwo\nthr");
    let mut follower = backwards(&log.0, |_| false).unwrap();
    assert_eq!(read(&mut follower), [""; 0]);
    OpenOptions::new().write(true).open(&log.0).unwrap().set_len(0).unwrap();
    log.add("four\n");
    assert_eq!(read(&mut follower), ["four"]);
}

#[test]
fn the_last_lines_are_found_from_the_end() {
    let log = Log::new("last");
    assert_eq!(last(&log, 2).0, [""; 0]);
    log.add("one");
    assert_eq!(last(&log, 2).0, [""; 0]);
    log.add("\n");
    assert_eq!(last(&log, 2).0, ["one"]);
    log.add("\ntwo\nthree\nfou");
    for (count, lines) in [(1, &["three"][..]), (2, &["two", "three"]), (9, &["one", "", "two", "three"])] {
        let (found, mut follower) = last(&log, count);
        assert_eq!(found, lines);
        assert_eq!(follower.now.as_ref().unwrap().offset, 15);
        assert_eq!(read(&mut follower), [""; 0]);
    }
    let (_, mut follower) = last(&log, 1);
    log.add("r\n");
    assert_eq!(read(&mut follower), ["four"]);
}

#[test]
fn what_is_larger_than_a_block_is_read_both_ways() {
    let log = Log::new("large");
    let mut forwards = backwards(&log.0, |_| false).unwrap();
    let lines: Vec<String> = (0..40_000).map(|number| format!("line {number}")).collect();
    log.add(&(lines.join("\n") + "\n"));
    assert_eq!(last(&log, usize::MAX).0, lines);
    assert_eq!(read(&mut forwards), lines);
}

#[test]
fn of_an_endless_line_only_the_start_is_kept() {
    let log = Log::new("endless");
    let mut forwards = backwards(&log.0, |_| false).unwrap();
    log.add(&format!("one\n{}\ntwo\n", "x".repeat(5 * LONGEST)));
    let expected = ["one", &"x".repeat(LONGEST), "two"];
    assert_eq!(read(&mut forwards), expected);
    assert_eq!(last(&log, 9).0, expected);
}
