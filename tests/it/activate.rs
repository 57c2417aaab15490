//! `activate` returns when the build is ready, or leaves it inactive.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::look::{Process, processes_of, stats_at, worker_pids, workers};
use crate::site::{Said, Site, get, wait_for};

const SLOW: &str = "\n[env]\nSLOW_LOAD = \"3\"\n";

/// A site without names, whose build a listens.
fn listening(fixture: &str, extra: &str) -> Site {
    let site = Site::up(fixture, extra);
    site.ok(&["create", "a"]);
    site
}

/// The master of a build's zerg. The vassal's has the same title, and no workers.
fn zerg(site: &Site, build: &str) -> Option<Process> {
    let all = processes_of(site);
    let title = format!("it-{build}-untagged uWSGI worker 1");
    let worker = all.iter().find(|process| process.title == title)?;
    all.iter().find(|process| process.pid == worker.parent).cloned()
}

#[track_caller]
fn is_inactive(site: &Site) {
    assert!(!site.build("a").join("zerg.ini").is_symlink());
    assert_eq!(site.status("a")["state"], "listening");
    assert!(zerg(site, "a").is_none());
}

#[track_caller]
fn has_loaded(site: &Site, expected: usize) {
    let workers = workers(site, "a");
    assert_eq!(workers.len(), expected, "{workers:?}");
    for worker in workers {
        assert!(worker["accepting"] == 1 && !worker["apps"].as_array().unwrap().is_empty(), "{worker}");
    }
}

#[test]
fn a_build_is_ready_when_every_worker_has_loaded_it() {
    let site = listening("broken/slow-load", &format!("{SLOW}\n[uwsgi]\nworkers = 3\n"));
    let mut activate = site.command(&["activate", "a", "-q"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("workers", || workers(&site, "a").len() == 3);
    assert_eq!(site.status("a")["state"], "active", "no worker can have loaded the application yet");
    assert!(activate.wait().unwrap().success());
    has_loaded(&site, 3);
    assert_eq!(site.status("a")["state"], "ready");
    assert_eq!(get(site.port("a"), "/").0, 200);
}

#[test]
fn activating_twice_changes_nothing() {
    let site = listening("plain", "");
    let said = site.json(&["activate", "a"]);
    let pids = worker_pids(&site, "a");
    assert_eq!(said["changed"], true);
    assert_eq!(said["workers"].as_array().unwrap().len(), 2);
    assert!(said["workers"].as_array().unwrap().iter().all(|pid| pids.contains(&pid.as_i64().unwrap())));
    site.unchanged(&["activate", "a"]);
    assert_eq!(site.ok(&["activate", "a"]), "build a was ready already: 2 workers\n");
    assert_eq!(worker_pids(&site, "a"), pids);
}

#[test]
fn a_build_that_loads_too_slowly_is_inactive_again() {
    let site = listening("broken/slow-load", "");
    site.configure("\n[env]\nSLOW_LOAD = \"100\"\n[uwsgi]\nstart_timeout = 1\n");
    let error = site.fails(5, &["activate", "a"]);
    assert!(error.contains("did not load the application within 1 s"), "{error}");
    is_inactive(&site);
}

#[test]
fn a_build_that_does_not_import_shows_its_traceback_and_is_inactive_again() {
    let site = listening("broken/import-error", "");
    let error = site.fails(5, &["activate", "a"]);
    assert!(error.contains("Traceback (most recent call last)"), "{error}");
    assert!(error.contains("No module named 'no_such_exchange_rates'"), "{error}");
    is_inactive(&site);

    let failed = &site.json(&["activate", "a"])["error"];
    assert_eq!(failed["code"], 5);
    assert!(failed["why"].as_str().unwrap().contains("no_such_exchange_rates"), "{failed}");
}

#[test]
fn a_cheap_build_is_ready_with_its_fewest_workers() {
    let site = listening("plain", "\n[uwsgi]\nworkers = 3\ncheaper = 1\n");
    site.write("requirements.txt", "pyuwsgi\n");
    site.ok(&["create", "b"]);
    for build in ["a", "b"] {
        assert_eq!(site.ok(&["activate", build]), format!("build {build} is ready: 1 worker\n"));
        assert_eq!(workers(&site, build).len(), 1);
        assert_eq!(site.status(build)["state"], "ready");
        assert_eq!(get(site.port(build), "/").0, 200);
    }
    assert!(site.build("b").join("bin/uwsgi").exists());
}

#[test]
fn without_uwsgi_there_is_nothing_to_activate_with() {
    let mut site = listening("plain", "");
    site.kill();
    let error = site.fails(1, &["activate", "a"]);
    assert!(error.contains("emperor does not answer") && error.contains("next: builds up"), "{error}");
    assert!(!site.build("a").join("zerg.ini").is_symlink());
    site.start();
    site.ok(&["activate", "a"]);
}

#[test]
fn workers_that_die_while_they_start_leave_nothing_half_done() {
    let site = listening("broken/slow-load", SLOW);
    let activate = site.command(&["activate", "a"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("a zerg", || zerg(&site, "a").is_some());
    kill(Pid::from_raw(zerg(&site, "a").unwrap().pid), Signal::SIGKILL).unwrap();
    let end = activate.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(5), "{end:?}");
    is_inactive(&site);
    site.ok(&["activate", "a"]);
    has_loaded(&site, 2);
}

#[test]
fn an_activate_that_was_killed_completes_when_it_is_run_again() {
    let site = listening("broken/slow-load", SLOW);
    let mut killed = site.command(&["activate", "a"]).spawn().unwrap();
    wait_for("a zerg", || zerg(&site, "a").is_some());
    killed.kill().unwrap();
    killed.wait().unwrap();
    site.ok(&["activate", "a"]);
    has_loaded(&site, 2);
}

#[test]
fn a_zerg_that_is_killed_comes_back_by_itself() {
    let site = listening("plain", "");
    site.ok(&["activate", "a"]);
    let before = zerg(&site, "a").unwrap();
    kill(Pid::from_raw(before.pid), Signal::SIGKILL).unwrap();
    // Held by the vassal until there are workers.
    assert_eq!(get(site.port("a"), "/").0, 200);
    wait_for("a new zerg", || zerg(&site, "a").is_some_and(|zerg| zerg.pid != before.pid));
    wait_for("its workers", || site.status("a")["state"] != "active");
    has_loaded(&site, 2);
}

#[test]
fn only_a_whole_build_is_activated() {
    let site = Site::up("plain", "\n[assets]\ncommands = [[\"false\"]]\n");
    site.fails(1, &["create", "a"]);
    let error = site.fails(3, &["activate", "a"]);
    assert!(error.contains("build a is incomplete") && error.contains("builds create a continues"), "{error}");
    assert!(!fs::exists(site.build("a").join("vassal.ini")).unwrap());
    site.fails(2, &["activate", "b"]);
}

#[test]
fn a_base_port_that_changes_under_running_builds_is_told() {
    let site = Site::ready("plain", "");
    let old = site.read("builds.toml");
    site.write("builds.toml", &old.replacen(&site.ports.base.to_string(), &(site.ports.base + 10).to_string(), 1));
    for command in [["warmup", "a"], ["activate", "a"], ["stage", "b"]] {
        let error = site.fails(3, &command);
        assert!(error.contains("listens on another port") && error.contains("site.base_port"), "{error}");
    }
    let error = site.fails(1, &["doctor"]);
    assert!(error.contains("build a listens on another port"), "{error}");
    // The names need no port.
    site.ok(&["swap-live"]);
    assert!(site.live("/").1.contains(r#""build": "b""#));
    // A build that is stopped takes the new port.
    site.write("builds.toml", &old);
    site.ok(&["create", "d"]);
    site.ok(&["stop", "d"]);
    site.write("builds.toml", &old.replacen(&site.ports.base.to_string(), &(site.ports.base + 10).to_string(), 1));
    site.ok(&["activate", "d"]);
    assert_eq!(get(site.port("d") + 10, "/").0, 200);
}

#[test]
fn a_skeleton_that_uwsgi_refuses_is_not_blamed_on_the_application() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let skeleton = site.read("deploy/conf/zerg.skel");
    site.write("deploy/conf/zerg.skel", &format!("{skeleton}\nno-such-option = true\n"));
    let error = site.fails(5, &["activate", "a"]);
    assert!(error.contains("next: builds doctor shows what was changed in conf/"), "{error}");
    site.write("deploy/conf/zerg.skel", &skeleton);
    site.ok(&["activate", "a"]);
}

/// Runs a command that is killed right behind the removal of a link of a build.
fn killed_behind_the_link(site: &Site, args: &[&str], build: &str) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL", "-P"]);
    strace.arg(site.build(build)).args(&site.caller).args(args).current_dir(&site.dir);
    assert!(!strace.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
}

#[test]
fn what_a_killed_command_has_told_to_end_is_waited_for() {
    let site = listening("plain", "");
    let build = site.build("a");
    for (verb, kind) in [("stop", "vassal"), ("deactivate", "zerg")] {
        let stats = stats_at(&build.join(format!("run/{kind}.stats"))).unwrap();
        let master = Pid::from_raw(stats["pid"].as_i64().unwrap() as i32);
        killed_behind_the_link(&site, &[verb, "a"], "a");
        assert!(!build.join(format!("{kind}.ini")).is_symlink());
        // It takes its time to end, unless the emperor, who looks each second, was faster.
        _ = kill(master, Signal::SIGSTOP);
        // A drain on a full disk leaves no mark.
        drop(fs::remove_file(build.join("run/zerg.draining")));
        let mut activate = site.command(&["activate", "a"]);
        let mut activate = activate.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        wait_for("a second of its wait", || {
            began.elapsed() > Duration::from_secs(1) || activate.try_wait().unwrap().is_some()
        });
        _ = kill(master, Signal::SIGCONT);
        let said = Said::from(activate.wait_with_output().unwrap());
        assert_eq!(said.code, 0, "{verb}: {said:?}");
        assert_eq!((site.status("a")["state"].clone(), get(site.port("a"), "/").0), ("ready".into(), 200));
    }
}
