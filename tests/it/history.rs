//! What is written down of every change, whatever becomes of the command and of the file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::helpers::{GATE, Gate};
use crate::site::{Site, wait_for};

/// The changes that `history` tells.
pub fn changes(site: &Site) -> Vec<Value> {
    let said = site.json(&["history", "-n", "10000"]);
    said["changes"].as_array().unwrap_or_else(|| panic!("{said}")).clone()
}

/// Each change as action, build, live and stage afterwards, and result.
#[track_caller]
fn told(site: &Site) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |change: &Value| {
        let to = &change["to"];
        [&change["action"], &change["build"], &to["live"], &to["stage"], &change["result"]].map(text).join(" ")
    };
    changes(site).iter().map(line).collect()
}

#[test]
fn every_change_is_a_line_and_what_changes_nothing_is_none() {
    let site = Site::up("plain", "");
    assert_eq!(changes(&site), [Value::Null; 0]);
    site.ok(&["init"]);
    site.ok(&["create", "c", "--tag", "v2"]);
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    site.ok(&["restart", "c"]);
    site.ok(&["deactivate", "b"]);
    site.fails(3, &["stop", "a"]);
    site.fails(3, &["archive", "a"]);
    site.ok(&["archive", "b"]);
    site.ok(&["rm", "b"]);
    let expected = [
        "create a - - done",
        "create b - - done",
        "activate a - - done",
        "activate b - - done",
        "init a a b done",
        "create c - - done",
        "activate c - - done",
        "stage c a c done",
        "swap c c a done",
        "restart c - - done",
        "deactivate b - - done",
        "stop a - - refused",
        "archive a - - refused",
        "stop b - - done",
        "archive b - - done",
        "rm b - - done",
    ];
    assert_eq!(told(&site), expected);
    let lines = site.read("deploy/history.jsonl");
    for args in [&["init"][..], &["activate", "c"], &["swap-live", "c"], &["stage", "a"], &["warmup"]] {
        site.ok(args);
    }
    // Looked at, and already so.
    site.fails(2, &["rm", "b"]);
    assert_eq!(site.read("deploy/history.jsonl"), lines);

    let swap = &changes(&site)[8];
    let me = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    let (at, seconds) = (&swap["at"], &swap["seconds"]);
    assert!(at.as_u64().is_some_and(|at| at > 1_763_000_000) && seconds.as_f64().is_some_and(|took| took < 60.0));
    let expected = json!({
        "at": at, "action": "swap", "command": "swap-live", "by": {"user": me, "sudo": null},
        "build": "c", "tag": "v2", "commit": null,
        "from": {"live": "a", "stage": "c"}, "to": {"live": "c", "stage": "a"},
        "seconds": seconds, "result": "done", "code": 0, "reason": null,
    });
    assert_eq!(swap, &expected);
}

#[test]
fn people_see_the_latest_changes_of_all_builds_or_of_one() {
    let site = Site::ready("plain", "");
    let mut swap = site.command(&["swap-live"]);
    assert!(swap.env("SUDO_USER", "ann\u{1b}").stdout(Stdio::null()).status().unwrap().success());
    site.fails(3, &["deactivate", "a"]);
    let shown = site.ok(&["history", "-n", "2"]);
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0].join(" "), "WHEN WHO ACTION BUILD TAG LIVE STAGE SECONDS COMMAND RESULT");
    let swap = lines[1].join(" ");
    assert!(swap.contains(" swap b untagged a → b b → a 0.") && swap.ends_with(" swap-live done"), "{shown}");
    assert!(swap.contains("Z ann as "), "{shown}");
    let refused = lines[2].join(" ");
    assert!(refused.contains(" deactivate a untagged - - 0."), "{shown}");
    assert!(refused.contains(" deactivate a refused (3): cannot deactivate a: it is staged: _stage"), "{shown}");
    assert_eq!(lines.len(), 3);
    let of_a = site.json(&["history", "a"]);
    let actions: Vec<&Value> = of_a["changes"].as_array().unwrap().iter().map(|change| &change["action"]).collect();
    assert_eq!(actions, ["create", "activate", "init", "swap", "deactivate"]);
    assert_eq!(site.json(&["history", "live"])["changes"][0]["build"], "b");
}

#[test]
fn who_turned_visitors_away_or_let_them_wait_is_told() {
    let site = Site::ready("plain", "");
    let before = changes(&site).len();
    for command in ["maintenance on", "maintenance on", "maintenance off", "maintenance off"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    for command in ["pause --max 50", "pause", "resume", "resume"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    site.ok(&["canary", "b"]);
    site.fails(3, &["pause"]);
    let all = changes(&site);
    let of = |change: &Value| ["action", "build", "command", "result", "reason"].map(|key| change[key].clone());
    let told: Vec<Value> = all[before..].iter().map(|change| json!(of(change))).collect();
    let refused = "cannot pause a: build b is the canary: its workers answer some of the live build's requests";
    let expected = [
        json!(["maintenance", null, "maintenance on", "done", "on"]),
        json!(["maintenance", null, "maintenance off", "done", "off"]),
        json!(["pause", "a", "pause --max 50", "done", "for 50 s at most"]),
        json!(["resume", "a", "resume", "done", "0 had waited"]),
        json!(["canary", "b", "canary b", "done", null]),
        json!(["pause", "a", "pause", "refused", refused]),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_fails_or_is_interrupted_is_told_with_its_reason() {
    let site = Site::ready("plain", "");
    site.write("wsgi.py", "import no_such_module\n");
    site.ok(&["create", "c"]);
    site.fails(5, &["stage", "c"]);
    let last = |back: usize| {
        let changes = changes(&site);
        changes[changes.len() - back].clone()
    };
    for (back, action) in [(2, "activate"), (1, "stage")] {
        let change = last(back);
        assert_eq!(
            (&change["action"], &change["result"], &change["code"]),
            (&action.into(), &"failed".into(), &5.into())
        );
        let reason = change["reason"].as_str().unwrap();
        assert!(reason.ends_with("ModuleNotFoundError: No module named 'no_such_module'"), "{reason}");
    }

    site.write("builds.toml", &(site.read("builds.toml") + GATE));
    let gate = Gate::new(&site);
    let mut create = gate.create("d");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(create.id() as i32), nix::sys::signal::Signal::SIGTERM).unwrap();
    create.wait().unwrap();
    let change = last(1);
    assert_eq!((&change["action"], &change["build"], &change["code"]), (&"create".into(), &"d".into(), &143.into()));
    assert!(change["reason"].as_str().unwrap().starts_with("interrupted by SIGTERM"), "{change}");
}

#[test]
fn what_was_killed_is_told_by_the_next_on_the_same_build() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = gate.create("a");
    create.kill().unwrap();
    create.wait().unwrap();
    // Who only looks writes nothing down, nor does who works on another build.
    site.ok(&["status"]);
    site.ok(&["rm", site.ok(&["find-free", "--reserve"]).trim()]);
    assert_eq!(told(&site), ["rm b - - done"]);
    site.ok(&["rm", "a"]);
    assert_eq!(told(&site), ["rm b - - done", "killed a - - failed", "rm a - - done"]);
    let killed = &changes(&site)[1];
    let reason = format!("process {} (builds create a) worked on it, and did not come to its end", create.id());
    assert_eq!((&killed["reason"], &killed["code"]), (&reason.into(), &137.into()));
    site.configure("");
    // Neither an end in good order nor a failure is that.
    site.ok(&["create", "a"]);
    site.fails(3, &["create", "a"]);
    site.ok(&["rm", "a"]);
    assert_eq!(told(&site)[3..], ["create a - - done", "create a - - refused", "stop a - - done", "rm a - - done"]);
}

#[test]
fn a_torn_line_is_shown_and_the_next_is_whole() {
    let site = Site::ready("plain", "");
    let path = site.root().join("history.jsonl");
    let line = fs::read(&path).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&line[..40]).unwrap();
    let before = changes(&site).len();
    site.ok(&["swap-live"]);
    let said = site.json(&["history"]);
    assert_eq!((changes(&site).len(), &said["damaged"]), (before + 1, &1.into()), "{said}");
    let shown = site.ok(&["history", "-n", "2"]);
    assert!(shown.contains("\ndamaged:"), "{shown}");
    // Nor does what is no text.
    file.write_all(b"\xff\xfe\n{}\n").unwrap();
    site.ok(&["swap-live"]);
    assert_eq!((changes(&site).len(), &site.json(&["history"])["damaged"]), (before + 2, &3.into()));
}

#[test]
fn a_history_that_cannot_be_written_stops_nothing() {
    let site = Site::ready("plain", "");
    fs::remove_file(site.root().join("history.jsonl")).unwrap();
    fs::create_dir(site.root().join("history.jsonl")).unwrap();
    let said = site.run(&["swap-live"]);
    assert_eq!((said.code, site.names()), (0, ("b".into(), "a".into())), "{said:?}");
    assert!(said.err.contains("history.jsonl") && said.err.contains("the history may lack"), "{said:?}");
    site.fails(1, &["history"]);
    fs::remove_dir(site.root().join("history.jsonl")).unwrap();
    site.ok(&["swap-live"]);
    // Whoever comes next tells what is so.
    assert_eq!(told(&site), ["found b b a done", "swap a a b done"]);
}

#[test]
fn names_that_nobody_wrote_down_are_found() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    let names = |live: &str, stage: &str| {
        for (link, build) in [("_live", live), ("_stage", stage)] {
            let link = site.root().join("builds").join(link);
            fs::remove_file(&link).unwrap();
            symlink(build, &link).unwrap();
        }
    };
    names("b", "a");
    site.ok(&["swap-live", "a"]);
    let said = changes(&site);
    let found = &said[said.len() - 2];
    let (from, to) = (json!({"live": "a", "stage": "b"}), json!({"live": "b", "stage": "a"}));
    assert_eq!((&found["action"], &found["from"], &found["to"]), (&"found".into(), &from, &to));
    assert_eq!(found["reason"], "nobody wrote down that they moved");
    assert_eq!(told(&site).last().unwrap(), "swap a a b done");
}

#[test]
fn the_names_stay_locked_until_their_move_is_written() {
    let site = Site::ready("plain", "");
    // A disk that takes half a second for the line.
    let mut slow = Command::new("strace");
    slow.args(["-f", "-o", "/dev/null", "-e", "trace=write", "-e", "inject=write:delay_enter=500000", "-P"]);
    slow.arg(site.root().join("history.jsonl")).args(&site.caller).arg("swap-live").current_dir(&site.dir);
    let mut slow = slow.stdout(Stdio::null()).spawn().unwrap();
    wait_for("the exchange", || site.names().0 == "b");
    site.ok(&["stage", "a"]);
    site.ok(&["swap-live", "a"]);
    assert!(slow.wait().unwrap().success());
    assert_eq!(told(&site)[5..], ["swap b b a done", "swap a a b done"]);
}

#[test]
fn a_full_history_is_put_aside_and_keeps_who_was_live() {
    let site = Site::ready("plain", "");
    site.ok(&["swap-live"]);
    let all = changes(&site).len();
    let mut restart = changes(&site)[2].clone();
    assert_eq!(restart["action"], "activate");
    let path = site.root().join("history.jsonl");
    let mut fill = |count: usize| {
        let lines: String = (0..count)
            .map(|number| {
                restart["at"] = number.into();
                format!("{restart}\n")
            })
            .collect();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(lines.as_bytes()).unwrap();
    };
    let full = 1 << 20;
    for turn in 1..=2 {
        fill(4500);
        assert!(fs::metadata(&path).unwrap().len() > full);
        site.ok(&["restart", "a"]);
        assert!(fs::metadata(&path).unwrap().len() < 10_000, "turned");
        let actions: Vec<String> = told(&site);
        assert!(actions.len() > 4500 && actions.iter().any(|line| line == "swap b b a done"), "turn {turn}");
        assert_eq!(actions.len(), if turn == 1 { all + 4501 } else { 2 + 4501 }, "turn {turn}");
    }
    // Nothing is found that was known.
    site.ok(&["swap-live"]);
    assert_eq!(told(&site).iter().filter(|line| line.starts_with("found")).count(), 0);
    let names: Vec<_> = fs::read_dir(site.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with('.')), "{names:?}");
}

#[test]
fn what_root_writes_is_for_the_owner_of_the_site_to_go_on_with() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let site = Site::ready("plain", "");
    let (path, full) = (site.root().join("history.jsonl"), "{}\n".repeat(400_000));
    fs::remove_file(&path).unwrap();
    chown(site.root(), Some(65_534), Some(65_534)).unwrap();
    let owner = || fs::metadata(&path).unwrap().uid();
    site.ok(&["swap-live"]);
    assert_eq!(owner(), 65_534);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(full.as_bytes()).unwrap();
    site.ok(&["swap-live"]);
    assert!(site.root().join("history.1.jsonl").exists());
    assert_eq!(owner(), 65_534);
}

#[test]
fn twenty_writers_at_once_leave_twenty_whole_lines() {
    let site = Site::ready("plain", "");
    let before = changes(&site).len();
    let start = |_| {
        // Refused before it has locked anything.
        let mut command = site.command(&["rollback"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let commands: Vec<_> = (0..20).map(start).collect();
    for mut command in commands {
        assert_eq!(command.wait().unwrap().code(), Some(3));
    }
    assert_eq!(changes(&site).len(), before + 20);
    assert_eq!(site.json(&["history"])["damaged"], 0);
}
