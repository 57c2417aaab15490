//! The logs of a build, and of whatever is live.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::site::{Site, wait_for};

/// A command that follows, and its lines.
struct Following(Child, Receiver<String>);

impl Following {
    fn begin(site: &Site, args: &[&str]) -> Self {
        let mut child = site.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self(child, lines)
    }

    /// Waits for a line with these words; those before it.
    #[track_caller]
    fn until(&self, words: &str) -> Vec<String> {
        let mut before = Vec::new();
        let mut found = false;
        wait_for(words, || {
            let next = self.1.try_iter().find_map(|line| {
                let is_it = line.contains(words);
                before.push(line);
                is_it.then_some(())
            });
            found = found || next.is_some();
            found
        });
        before.pop();
        before
    }

    /// Ends it by Ctrl-C; its code and what it said on standard error.
    fn end(self) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

fn add(site: &Site, log: &str, text: &str) {
    let mut file = OpenOptions::new().append(true).open(site.root().join("logs").join(log)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn the_last_lines_of_a_builds_logs() {
    let site = Site::ready("plain", "");
    for number in 0..12 {
        add(&site, "a.error.log", &format!("error {number}\n"));
        add(&site, "a.access.log", &format!("request {number}\n"));
    }
    let said = site.ok(&["logs", "a"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1]), (23, "==> a.error.log <==", "error 2"), "{said}");
    assert_eq!(lines[10..14], ["error 11", "", "==> a.access.log <==", "request 2"]);
    assert_eq!(site.ok(&["logs", "live", "--errors", "-n", "2"]), "error 10\nerror 11\n");
    assert_eq!(site.ok(&["logs", "live", "--requests", "-n", "1"]), "request 11\n");
    assert_eq!(site.ok(&["logs", "a", "-n", "0"]), "");
    let said = site.json(&["logs", "a", "-n", "1"]);
    assert_eq!(
        (&said["build"], &said["errors"][0], &said["requests"][0]),
        (&"a".into(), &"error 11".into(), &"request 11".into())
    );
    assert!(site.fails(2, &["logs", "q"]).contains("there is no build q"));
    assert_eq!(site.run(&["logs", "a", "--errors", "--requests"]).code, 2);
}

#[test]
fn lines_are_shown_as_they_come_also_when_the_log_is_rotated() {
    let site = Site::ready("plain", "");
    add(&site, "a.error.log", "last\n");
    let following = Following::begin(&site, &["logs", "a", "-f", "-n", "1", "--errors"]);
    assert_eq!(following.until("last"), [""; 0]);
    add(&site, "a.error.log", "one\n");
    following.until("one");
    let log = site.root().join("logs/a.error.log");
    fs::rename(&log, log.with_extension("1")).unwrap();
    fs::write(&log, "two\n").unwrap();
    assert_eq!(following.until("two"), [""; 0]);
    assert_eq!(following.end(), (Some(0), String::new()));
}

#[test]
fn whatever_is_live_is_followed_as_it_moves() {
    let site = Site::ready("plain", "");
    let following = Following::begin(&site, &["logs", "live", "-f", "-n", "0"]);
    let by_json = Following::begin(&site, &["logs", "live", "-f", "-n", "0", "--json"]);
    let ask = |path: &str| {
        // It begins with what comes after it has begun.
        wait_for(path, || {
            site.live(path);
            following.1.try_iter().any(|line| line.contains(path))
        });
    };
    ask("/first");
    site.ok(&["swap-live"]);
    following.until("==> build b is live <==");
    by_json.until(r#"{"build":"b","role":"live"}"#);
    site.live("/second");
    assert_eq!(following.until("/second"), ["", "==> b.access.log <=="]);
    by_json.until("/second");
    site.ok(&["swap-live"]);
    following.until("==> build a is live <==");
    assert_eq!(following.end().0, Some(0));
    by_json.until(r#"{"build":"a","role":"live"}"#);
    let (code, _) = by_json.end();
    assert_eq!(code, Some(0));
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    let site = Site::ready("plain", "");
    let mut following = site.command(&["logs", "a", "-f", "--errors"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(following.stdout.take());
    wait_for("its end", || {
        add(&site, "a.error.log", "more\n");
        following.try_wait().unwrap().is_some()
    });
    assert_eq!(following.wait().unwrap().code(), Some(0));
}
