//! Some workers of another build beside those of the live one.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::load::{CONFIG, Crowd, KeepAlive, Load};
use crate::look::{build_of, in_request, processes_of, stats, stats_at};
use crate::site::{Said, Site, get, wait_for};

/// How many requests workers have answered.
fn answered(stats: Option<Value>) -> f64 {
    let workers = stats.map_or(Value::Null, |stats| stats["workers"].clone());
    workers.as_array().into_iter().flatten().map(|worker| worker["requests"].as_f64().unwrap()).sum()
}

fn canary_stats(site: &Site, build: &str) -> Option<Value> {
    stats_at(&site.build(build).join("run/canary.stats"))
}

fn is_canary(site: &Site, build: &str) -> bool {
    site.build(build).join("canary.ini").is_symlink()
}

/// A site of plain builds: a is live, b is staged, c listens.
fn three(extra: &str) -> Site {
    let site = Site::ready("plain", extra);
    site.ok(&["create", "c", "--tag", "v2"]);
    site
}

#[test]
fn a_share_of_the_requests_meets_it_and_none_is_lost() {
    let port = "workers = 4\n\n[nginx]\nupstream = \"port\"\n";
    for (extra, expected) in [("workers = 4\n", 0.33), ("workers = 2\nthreads = 3\n", 0.5), (port, 0.33)] {
        let site = Site::ready("load", &format!("{CONFIG}\n[uwsgi]\n{extra}"));
        site.ok(&["create", "c", "--tag", "v2"]);
        // A reload of nginx closes connections on which a request is just being sent.
        let keep_alive = if extra == port { KeepAlive::None } else { KeepAlive::Half };
        let load = Load::start(&[Crowd { keep_alive, ..Crowd::at(site.live_port(), 12) }]);
        for _ in 0..3 {
            site.ok(&["canary", "c", "--workers", "2"]);
            let before = answered(stats(&site, "a"));
            load.await_answers(400);
            let (own, live) = (answered(canary_stats(&site, "c")), answered(stats(&site, "a")) - before);
            assert!((own / (own + live) - expected).abs() < 0.2, "{extra}: {own} of {}, not {expected}", own + live);
            site.ok(&["canary", "--off"]);
            assert!(!is_canary(&site, "c") && canary_stats(&site, "c").is_none());
        }
        site.ok(&["canary", "c", "--workers", "2"]);
        site.ok(&["stage", "c"]);
        load.await_answers(100);
        site.ok(&["swap-live"]);
        assert!(!is_canary(&site, "c"), "the swap ends it");
        load.await_all();
        let seen = load.stop();
        seen.assert_whole();
        assert_eq!(seen.builds.len(), 2, "{:?}", seen.builds);
    }
}

#[test]
fn it_comes_once_changes_and_goes_once() {
    let site = three("");
    let said = |changed: bool, workers: u16, share: f64| json!({"command": "canary", "changed": changed, "build": "c", "of": "a", "workers": workers, "share": share});
    assert_eq!(site.json(&["canary", "c", "--workers", "2"]), said(true, 2, 0.5));
    assert_eq!(site.json(&["canary", "c", "--workers", "2"]), said(false, 2, 0.5));
    assert_eq!(site.json(&["canary", "c"]), said(true, 1, 1.0 / 3.0));
    assert_eq!(site.status("c")["state"], "listening", "workers of its own are another matter");
    let mut seen = BTreeSet::new();
    wait_for("an answer of each", || {
        seen.insert(build_of(&site.live("/").1));
        seen.len() == 2
    });
    let status = site.json(&["status"]);
    assert_eq!(status["canary"], json!({"build": "c", "of": "a", "workers": 1, "share": 1.0 / 3.0}));
    let recent = |build: usize| &status["recent"][build];
    assert_eq!((&recent(0)["build"], &recent(1)["build"]), (&"a".into(), &"c".into()));
    assert!(recent(1)["requests"].as_u64().is_some_and(|requests| requests > 0), "{status}");
    assert_eq!((&recent(1)["errors"], site.status("c")["role"].as_str()), (&0.into(), Some("canary")));
    let text = site.ok(&["status"]);
    assert!(text.contains("c is the canary beside a: 1 worker, about 33 % of the requests\n"), "{text}");
    assert!(text.contains("c in the last 5 minutes: ") && text.contains("a in the last 5 minutes: "), "{text}");
    assert_eq!(site.json(&["canary", "--off"]), said(true, 0, 0.0));
    let nobody = json!({"command": "canary", "changed": false, "build": null, "of": null, "workers": 0, "share": 0.0});
    assert_eq!(site.json(&["canary", "--off"]), nobody);
    assert!(!site.build("c").join("run/canary-of.ini").exists());
    // The staged build, too, with workers of its own.
    assert!(site.ok(&["canary", "stage"]).starts_with("1 worker of build b beside 2 of a: "));
    assert!(is_canary(&site, "b"));
    site.ok(&["swap-live"]);
    assert!(!is_canary(&site, "b"));
}

#[test]
fn what_would_end_its_workers_or_those_beside_it_is_refused() {
    let site = three("");
    assert!(site.fails(3, &["canary", "live"]).contains("cannot canary a: it is live"));
    site.ok(&["mark", "c", "--bad", "slow"]);
    assert!(site.fails(3, &["canary", "c"]).contains("build c is bad"));
    site.ok(&["mark", "c", "--good"]);
    site.ok(&["activate", "c"]);
    site.ok(&["canary", "c"]);
    for verb in ["restart", "deactivate", "stop", "rm", "archive"] {
        let error = site.fails(3, &[verb, "c"]);
        assert!(error.contains(&format!("cannot {verb} c: it is the canary")), "{error}");
        assert!(error.contains("next: builds canary --off"), "{error}");
    }
    assert!(site.fails(3, &["restart", "live"]).contains("cannot restart a: build c is the canary"));
    assert!(site.fails(3, &["pause"]).contains("cannot pause a: build c is the canary"));
    assert!(site.fails(3, &["canary", "b"]).contains("cannot canary b: build c is the canary"));
    site.ok(&["prune", "--keep", "0"]);
    assert!(site.build("c").exists());
    for command in ["restart b", "activate a", "stage c", "stage b", "canary --off", "restart live", "stop c"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    // Live's workers are in the other slot now.
    site.ok(&["canary", "c", "--workers", "2"]);
    wait_for("an answer of the canary", || build_of(&site.live("/").1) == "c");
}

#[test]
fn an_application_that_does_not_load_is_no_canary() {
    let site = three("");
    site.write("deploy/builds/c/wsgi.py", "import no_such_module\n");
    let error = site.fails(5, &["canary", "c"]);
    assert!(error.contains("No module named 'no_such_module'"), "{error}");
    assert!(!is_canary(&site, "c") && !site.build("c").join("run/canary-of.ini").exists());
    site.unchanged(&["canary", "--off"]);
    assert_eq!(site.live("/").0, 200);
}

/// Lets a worker of live and one of the canary work on a request for a while.
fn keep_both_busy(site: &Site, seconds: u8) -> [JoinHandle<(u16, String)>; 2] {
    let port = site.live_port();
    let slow = [(); 2].map(|()| thread::spawn(move || get(port, &format!("/slow?seconds={seconds}"))));
    let busy = || canary_stats(site, "c").is_some_and(|stats| stats["workers"][0]["cores"][0]["in_request"] == 1);
    wait_for("two busy workers", || in_request(site, "a") == 1 && busy());
    slow
}

#[test]
fn an_end_that_was_killed_is_completed_by_the_next_command() {
    for command in ["canary --off", "canary c"] {
        let site = three("\n[uwsgi]\nworkers = 1\n");
        site.ok(&["canary", "c"]);
        let slow = keep_both_busy(&site, 4);
        let mut end = site.command(&["canary", "--off"]).spawn().unwrap();
        wait_for("the pause", || site.read("deploy/logs/c.error.log").contains("*** PAUSE"));
        end.kill().unwrap();
        end.wait().unwrap();
        assert!(is_canary(&site, "c"));
        assert_eq!(site.json(&command.split(' ').collect::<Vec<_>>())["changed"], true);
        assert_eq!(is_canary(&site, "c"), command == "canary c");
        assert_eq!(slow.map(|slow| slow.join().unwrap().0), [200, 200]);
    }
}

#[test]
fn an_end_that_takes_too_long_leaves_it_at_work() {
    let site = three("\n[uwsgi]\nworkers = 1\ndrain_timeout = 1\n");
    site.ok(&["canary", "c"]);
    let slow = keep_both_busy(&site, 4);
    let error = site.fails(1, &["canary", "--off"]);
    assert!(error.contains("still works on 1 request after") && error.contains("builds canary --off"), "{error}");
    assert_eq!(slow.map(|slow| slow.join().unwrap().0), [200, 200]);
    site.unchanged(&["canary", "c"]);
    wait_for("an answer of the canary", || build_of(&site.live("/").1) == "c");
}

#[test]
fn a_vassal_that_is_killed_takes_nothing_with_it() {
    let site = Site::ready("load", CONFIG);
    site.ok(&["create", "c", "--tag", "v2"]);
    site.ok(&["canary", "c"]);
    let load = Load::start(&[Crowd::at(site.live_port(), 6)]);
    let masters = processes_of(&site).into_iter().filter(|process| process.title == "it-a-untagged uWSGI master");
    let zerg = stats(&site, "a").unwrap()["pid"].as_i64();
    let vassal = masters.map(|process| process.pid).find(|pid| Some(i64::from(*pid)) != zerg).unwrap();
    kill(Pid::from_raw(vassal), Signal::SIGKILL).unwrap();
    load.await_answers(200);
    wait_for("the next vassal", || stats_at(&site.build("a").join("run/vassal.stats")).is_some());
    let before = answered(canary_stats(&site, "c"));
    load.await_answers(200);
    assert!(answered(canary_stats(&site, "c")) > before, "it goes on");
    site.ok(&["canary", "--off"]);
    load.stop().assert_whole();
}

#[test]
fn a_site_that_was_made_before_there_were_canaries_is_told_so() {
    let mut site = Site::new("plain", "");
    site.start();
    site.ok(&["init"]);
    site.ok(&["create", "c"]);
    let told = site.read("deploy/conf/zergs.ini");
    let (before, line) = (told.lines(), "canary.ini");
    let older: Vec<&str> = before.filter(|text| !text.contains("emperor =") || !text.contains(line)).collect();
    site.stop();
    site.write("deploy/conf/zergs.ini", &older.join("\n"));
    site.start();
    site.ok(&["init"]);
    let error = site.fails(1, &["canary", "c"]);
    assert!(error.contains("this site is not ready for a canary") && error.contains("next: builds doctor"), "{error}");
    assert!(site.fails(1, &["doctor"]).contains("builds/[a-z]*/canary.ini`: without it it runs no builds"));
    site.write("deploy/conf/zergs.ini", &told);
    let error = site.fails(1, &["canary", "c"]);
    assert!(error.contains("started before") && error.contains("start that emperor again"), "{error}");
    assert!(!is_canary(&site, "c"));
    fs::remove_file(site.root().join("conf/canary.skel")).unwrap();
    assert!(site.fails(1, &["canary", "c"]).contains("next: builds init writes it"));
}

#[test]
fn a_swap_in_the_midst_of_its_start_is_the_end_of_it() {
    let site = three("");
    let wsgi = site.read("deploy/builds/c/wsgi.py");
    site.write("deploy/builds/c/wsgi.py", &format!("import time\ntime.sleep(3)\n{wsgi}"));
    let canary = site.command(&["canary", "c"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the canary's start", || is_canary(&site, "c"));
    // The swap waits with what it does about the canary, and not with the names.
    let swap = site.command(&["swap-live"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the swap", || site.names().0 == "b");
    assert!(is_canary(&site, "c"), "it loads still");
    let [canary, swap] = [canary, swap].map(|command| Said::from(command.wait_with_output().unwrap()));
    assert_eq!((canary.code, swap.code), (1, 0), "{canary:?} {swap:?}");
    assert!(canary.err.contains("another build went live meanwhile"), "{canary:?}");
    assert!(!is_canary(&site, "c"));
}
