//! `watch`: a build that does worse than the one before is taken back, and no other is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

use crate::load::{CONFIG, Crowd, Failure, Load, Seen};
use crate::look::{names, stats};
use crate::site::{Said, Site, wait_for};

/// Makes build b live under load, with a fault of `fixtures/load`, and watches it; what users saw.
#[track_caller]
fn watched(fault: &str, code: i32, said: &str) -> Seen {
    let site = Site::ready("load", &format!("{CONFIG}\n[uwsgi]\nworkers = 4\n"));
    let load = Load::start(&[Crowd::at(site.live_port(), 8)]);
    load.await_answers(300);
    if !fault.is_empty() {
        site.write("deploy/builds/b/fault", fault);
    }
    site.ok(&["swap-live"]);
    let seconds = if code == 0 { "5" } else { "60" };
    let watch = site.run(&["watch", "--seconds", seconds]);
    assert_eq!(watch.code, code, "{watch:?}");
    assert!(watch.err.contains(said) || watch.out.contains(said), "{watch:?}");
    assert_eq!(site.names().0, if code == 0 { "b" } else { "a" });
    assert_eq!(site.status("b")["bad"].is_object(), code == 6);
    load.await_all();
    load.await_all();
    load.stop()
}

/// That only errors of the build itself were seen.
#[track_caller]
fn assert_only(seen: &Seen, reason: &str) {
    let others = seen.failures.iter().filter(|failure| failure.reason != reason).chain(&seen.raced);
    let others: Vec<String> = others.map(Failure::to_string).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(!seen.failures.is_empty());
}

#[test]
fn a_good_build_stays() {
    watched("", 0, "build b does well: ").assert_whole();
}

#[test]
fn a_build_that_fails_one_request_in_ten_is_taken_back() {
    assert_only(&watched("fails", 6, " requests failed, and 0 of "), "status 500");
}

#[test]
fn a_build_that_is_slower_is_taken_back() {
    watched("slow", 6, "95 of 100 requests took up to ").assert_whole();
}

#[test]
fn a_build_whose_workers_die_is_taken_back() {
    // That of nginx, whose upstream is gone.
    assert_only(&watched("dies", 6, "build b is unhealthy: it did badly, and a is live again"), "status 503");
}

#[test]
fn deaths_that_no_request_meets_count_also_where_uwsgi_has_fewer_workers_at_times() {
    for workers in ["workers = 1", "workers = 3\ncheaper = 1"] {
        let site = Site::ready("plain", &format!("\n[uwsgi]\n{workers}\n"));
        site.ok(&["swap-live"]);
        let mut watch = site.command(&["watch"]).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the first probe", || site.read("deploy/logs/b.access.log").lines().count() > 20);
        let mut killed = BTreeSet::new();
        wait_for("the end of the watch", || {
            let pid = stats(&site, "b").and_then(|stats| stats["workers"][0]["pid"].as_i64()).unwrap_or_default();
            if pid > 0 && killed.insert(pid) {
                kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
            }
            watch.try_wait().unwrap().is_some()
        });
        let said = Said::from(watch.wait_with_output().unwrap());
        assert_eq!(said.code, 6, "{said:?}");
        assert!(said.err.contains("its 1 worker has died "), "{said:?}");
        assert_eq!(site.names().0, "a");
    }
}

#[test]
fn a_canary_that_does_badly_is_ended() {
    let site = Site::ready("load", &format!("{CONFIG}\n[uwsgi]\nworkers = 3\n"));
    let load = Load::start(&[Crowd::at(site.live_port(), 8)]);
    load.await_answers(300);
    site.ok(&["canary", "b"]);
    assert!(site.ok(&["watch", "--seconds", "3"]).starts_with("build b does well: "));
    assert!(site.build("b").join("canary.ini").is_symlink());
    site.write("deploy/builds/b/fault", "fails");
    let error = site.fails(6, &["watch"]);
    assert!(error.contains("as a canary it did badly, and a answers alone again"), "{error}");
    assert!(!site.build("b").join("canary.ini").is_symlink());
    assert!(site.status("b")["bad"].is_object());
    load.await_all();
    assert_only(&load.stop(), "status 500");
}

#[test]
fn a_build_that_nobody_asks_is_asked() {
    let site = Site::ready("load", CONFIG);
    site.ok(&["swap-live"]);
    let done = site.json(&["watch", "--seconds", "3"]);
    assert_eq!((&done["changed"], &done["build"], &done["moved"]), (&false.into(), &"b".into(), &false.into()));
    assert_eq!(done["after"]["requests"], 0);
    site.write("deploy/builds/b/fault", "broken");
    let error = site.fails(6, &["watch"]);
    assert!(error.contains("warm-up requests failed, the last with: / answered 500"), "{error}");
    assert!(error.contains("taken back: build b is unhealthy: it did badly, and a is live again"), "{error}");
    assert_eq!(site.names(), names("a", "b"));
    assert!(site.fails(3, &["swap-live"]).contains("build b is bad"));
}

#[test]
fn a_build_that_cannot_be_taken_back_is_told() {
    let site = Site::ready("load", CONFIG);
    for command in ["swap-live", "create c", "stage c", "rm a"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    site.write("deploy/builds/b/fault", "broken");
    let error = site.fails(5, &["watch"]);
    assert!(error.contains("and a cannot take its place again"), "{error}");
    assert!(error.contains("warm-up requests failed, the last with: / answered 500"), "{error}");
    assert_eq!(site.names(), names("b", "c"));
}

#[test]
fn a_swap_while_the_way_back_is_barred_is_not_overruled() {
    let gate = "[gates]\nbefore_stage = [[\"sh\", \"-c\", \"cat ../../held\"]]\n";
    let site = Site::ready("load", &format!("{CONFIG}\n{gate}"));
    let held = site.root().join("held");
    mkfifo(&held, Mode::S_IRWXU).unwrap();
    for command in ["create c", "activate c", "swap-live"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    let mut gates = site.command(&["gates", "a"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the lock of a", || site.run(&["--wait", "0", "mark", "a", "--good"]).code == 4);
    site.write("deploy/builds/b/fault", "broken");
    let heard = site.dir.join("heard");
    let watch = site.command(&["watch", "--json"]).stdout(Stdio::piped()).stderr(File::create(&heard).unwrap()).spawn();
    wait_for("the way back", || site.read("heard").contains("waiting for build a"));
    site.ok(&["swap-live", "c"]);
    fs::write(held, "").unwrap();
    gates.wait().unwrap();
    let said = Said::from(watch.unwrap().wait_with_output().unwrap());
    let done: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &done["moved"], site.names().0), (0, &true.into(), "c".into()), "{done}");
    assert!(site.status("b")["bad"].is_null());
}

#[test]
fn a_watch_ends_when_another_build_goes_live() {
    let site = Site::ready("plain", "");
    site.ok(&["swap-live"]);
    let watch = site.command(&["watch", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Its own requests tell that it has begun.
    wait_for("the first probe", || site.read("deploy/logs/b.access.log").lines().count() > 20);
    site.ok(&["swap-live"]);
    let said = Said::from(watch.wait_with_output().unwrap());
    let done: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &done["moved"], &done["build"]), (0, &true.into(), &"b".into()));
}

#[test]
fn a_build_that_cannot_be_marked_is_told_to_be_taken_back_all_the_same() {
    let site = Site::ready("plain", "");
    site.ok(&["swap-live"]);
    let breaks = "cd deploy/builds/b; rm build.json; mkdir build.json";
    let warmup = "paths = [{ path = \"/\", contains = \"what it never says\" }]";
    site.configure(&format!("\n[warmup]\n{warmup}\n\n[hooks]\nafter_rollback = [[\"sh\", \"-c\", \"{breaks}\"]]\n"));
    let error = site.fails(6, &["watch"]);
    assert!(error.contains("build b is not marked bad: ") && error.contains("and a is live again"), "{error}");
    assert_eq!(site.names().0, "a");
}
