//! Ending a build: what runs is finished, what comes is held.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::look::{backlog, in_request, processes_of, workers};
use crate::site::{Site, get, wait_for};

/// A site without names, whose build a runs.
fn running(extra: &str) -> Site {
    let site = Site::up("plain", extra);
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    site
}

/// A request that keeps a worker of a build busy, sent and being worked on.
fn slow(site: &Site, build: &str, seconds: u32) -> JoinHandle<(u16, String)> {
    let port = site.port(build);
    let request = thread::spawn(move || get(port, &format!("/slow?seconds={seconds}")));
    wait_for("a busy worker", || in_request(site, build) == 1);
    request
}

/// A request that waits at a build's socket, because nobody answers there.
fn held(site: &Site, build: &str, port: u16) -> JoinHandle<(u16, String)> {
    let waiting = || backlog(&site.build(build).join("run/web.sock")).unwrap().0;
    let before = waiting();
    let request = thread::spawn(move || get(port, "/held"));
    wait_for("a request in the backlog", || waiting() > before);
    request
}

#[track_caller]
fn answered(request: JoinHandle<(u16, String)>, build: &str) {
    let (status, body) = request.join().unwrap();
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(&format!(r#""build": "{build}""#)), "{body}");
}

#[test]
fn deactivate_lets_a_request_that_came_through_nginx_finish() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    site.ok(&["warmup", "c"]);
    let stage = site.stage_port();
    let request = thread::spawn(move || get(stage, "/slow?seconds=4"));
    wait_for("a busy worker", || in_request(&site, "b") == 1);
    site.ok(&["stage", "c"]);
    assert_eq!(in_request(&site, "b"), 1, "the request ended too early to prove anything");
    assert_eq!(site.json(&["deactivate", "b"])["changed"], true);
    answered(request, "b");
    assert_eq!(site.status("b")["state"], "listening");
}

#[test]
fn no_command_that_ends_a_build_cuts_a_request() {
    let site = running("");
    let cases = [("b", "deactivate b"), ("c", "stop c"), ("d", "rm d"), ("e", "archive e --basis a")];
    for (build, _) in cases {
        site.ok(&["create", build]);
        site.ok(&["activate", build]);
    }
    thread::scope(|scope| {
        for (build, command) in cases {
            let site = &site;
            scope.spawn(move || {
                let request = slow(site, build, 2);
                site.ok(&command.split(' ').collect::<Vec<_>>());
                answered(request, build);
            });
        }
    });
    let states = ["b", "c", "e"].map(|build| site.status(build)["state"].clone());
    assert_eq!(states, ["listening", "stopped", "archived"]);
    assert!(!site.build("d").exists());
}

#[test]
fn requests_that_wait_for_a_worker_are_answered_before_a_build_stops() {
    let site = running("\n[uwsgi]\nworkers = 1\n");
    let socket = site.build("a").join("run/web.sock");
    for command in ["deactivate", "stop"] {
        site.ok(&["activate", "a"]);
        let first = slow(&site, "a", 1);
        let port = site.port("a");
        let others: Vec<_> = (0..3).map(|_| thread::spawn(move || get(port, "/slow?seconds=0.2"))).collect();
        wait_for("requests in the backlog", || backlog(&socket).is_some_and(|(waiting, _)| waiting == 3));
        site.ok(&[command, "a"]);
        answered(first, "a");
        others.into_iter().for_each(|request| answered(request, "a"));
    }
}

#[test]
fn with_ports_a_build_stops_after_the_last_request_that_nginx_may_send_it() {
    let site = Site::ready("plain", "\n[nginx]\nupstream = \"port\"\n\n[uwsgi]\ndrain_timeout = 1\n");
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    // nginx asks the build that was live when the request began, as soon as it has all of the body.
    let mut upload = TcpStream::connect(("127.0.0.1", site.live_port())).unwrap();
    write!(upload, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabc").unwrap();
    assert_eq!(site.live("/").0, 200, "nginx has taken what came before");
    site.ok(&["swap-live"]);
    site.ok(&["stage", "c"]);
    for verb in ["deactivate", "stop", "rm"] {
        let error = site.fails(1, &[verb, "a"]);
        assert!(error.contains("nginx may still send requests to build a after 1 s"), "{error}");
    }
    write!(upload, "def").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""build": "a""#), "{answer}");
    // nginx waits for the client to close, too.
    drop(upload);
    site.ok(&["stop", "a"]);
}

/// Stops the zergs' emperor, its master included, or lets it go on.
fn signal_the_emperor(site: &Site, signal: Signal) {
    let emperor = processes_of(site).into_iter().filter(|process| process.title.starts_with("it-zergs"));
    let signalled: Vec<_> = emperor.map(|process| kill(Pid::from_raw(process.pid), signal).unwrap()).collect();
    assert!(!signalled.is_empty());
}

#[test]
fn an_emperor_that_is_too_busy_to_answer_is_not_taken_for_gone() {
    let site = running("");
    let signal_all = |signal| signal_the_emperor(&site, signal);
    signal_all(Signal::SIGSTOP);
    let said = site.run(&["rm", "a"]);
    signal_all(Signal::SIGCONT);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("the zergs' emperor does not answer"), "{said:?}");
    assert!(site.build("a").join("vassal.ini").exists());
    site.ok(&["rm", "a"]);
}

#[test]
fn workers_that_the_emperor_will_end_take_no_more_requests() {
    let site = running("");
    let signal_all = |signal| signal_the_emperor(&site, signal);
    let request = slow(&site, "a", 2);
    let mut deactivate = site.command(&["deactivate", "a"]).spawn().unwrap();
    wait_for("the drain", || site.build("a").join("run/zerg.draining").exists());
    signal_all(Signal::SIGSTOP);
    answered(request, "a");
    assert!(!deactivate.wait().unwrap().success());
    assert!(!site.build("a").join("zerg.ini").exists());
    let request = held(&site, "a", site.port("a"));
    signal_all(Signal::SIGCONT);
    site.ok(&["activate", "a"]);
    answered(request, "a");
}

#[test]
fn a_request_to_an_inactive_build_is_held_and_answered_after_activate() {
    let site = running("");
    site.ok(&["deactivate", "a"]);
    let request = held(&site, "a", site.port("a"));
    site.ok(&["activate", "a"]);
    answered(request, "a");
}

#[test]
fn nginx_waits_for_a_staged_build_whose_workers_are_gone() {
    let site = Site::ready("plain", "");
    std::fs::remove_file(site.build("b").join("zerg.ini")).unwrap();
    let masters = || processes_of(&site).into_iter().filter(|process| process.title == "it-b-untagged uWSGI master");
    wait_for("the end of the zerg, with the vassal left", || masters().count() == 1);
    let request = held(&site, "b", site.stage_port());
    site.ok(&["activate", "b"]);
    answered(request, "b");
}

#[test]
fn every_thread_has_paused_when_the_workers_go() {
    let site = running("\n[uwsgi]\nworkers = 2\nthreads = 3\n");
    site.ok(&["deactivate", "a"]);
    let log = site.read("deploy/logs/a.error.log");
    assert_eq!(log.matches("suspended ***").count(), 6, "{log}");
}

#[test]
fn deactivating_twice_changes_nothing() {
    let site = running("");
    assert_eq!(site.json(&["deactivate", "a"])["changed"], true);
    assert_eq!(site.status("a")["workers"], 0);
    site.unchanged(&["deactivate", "a"]);
    assert_eq!(site.ok(&["deactivate", "a"]), "build a was inactive already\n");
}

#[test]
fn a_drain_that_takes_too_long_leaves_the_build_at_work() {
    let site = running("\n[uwsgi]\ndrain_timeout = 1\n");
    let request = slow(&site, "a", 5);
    let error = site.fails(1, &["deactivate", "a"]);
    assert!(error.contains("build a still works on 1 request") && error.contains("builds deactivate a"), "{error}");
    answered(request, "a");
    // Each worker answers again.
    site.ok(&["warmup", "a"]);
    assert_eq!(site.json(&["deactivate", "a"])["changed"], true);
}

#[test]
fn a_stopped_build_can_be_activated_again() {
    let site = running("");
    assert_eq!(site.ok(&["stop", "a"]), "build a is stopped\n");
    assert_eq!(site.status("a")["state"], "stopped");
    assert!(TcpStream::connect(("127.0.0.1", site.port("a"))).is_err());
    site.unchanged(&["stop", "a"]);
    site.ok(&["activate", "a"]);
    assert_eq!(get(site.port("a"), "/").0, 200);
}

#[test]
fn live_and_stage_stay_in_service() {
    let site = Site::ready("plain", "");
    for verb in ["deactivate", "stop", "rm", "archive"] {
        for (build, reason) in [("a", "it is live"), ("b", "it is staged")] {
            let error = site.fails(3, &[verb, build]);
            assert!(error.contains(&format!("cannot {verb} {build}: {reason}")), "{error}");
        }
    }
    for command in ["deactivate live", "stop stage", "archive live"] {
        site.fails(3, &command.split(' ').collect::<Vec<_>>());
    }
    assert_eq!([site.status("a")["state"].clone(), site.status("b")["state"].clone()], ["warm", "warm"]);
}

#[test]
fn an_answer_that_is_being_sent_is_sent_to_its_end() {
    const LENGTH: usize = 50 << 20;
    let site = Site::up("plain", "");
    site.write(
        "wsgi.py",
        &format!(
            "def application(environ, start_response):\n    start_response('200 OK', [('Connection', 'close')])\n    \
             return (b'x' * 65536 for _ in range({}))\n",
            LENGTH >> 16
        ),
    );
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let mut answer = TcpStream::connect(("127.0.0.1", site.port("a"))).unwrap();
    write!(answer, "GET / HTTP/1.0\r\n\r\n").unwrap();
    wait_for("a busy worker", || in_request(&site, "a") == 1);
    let mut deactivate = site.command(&["deactivate", "a"]).spawn().unwrap();
    wait_for("the drain", || drains(&site));
    let mut all = Vec::new();
    answer.read_to_end(&mut all).unwrap();
    assert!(all.len() > LENGTH, "{} of {LENGTH} bytes came", all.len());
    assert!(deactivate.wait().unwrap().success());
}

/// Whether somebody lets the workers of build a finish, or was killed while doing so.
fn drains(site: &Site) -> bool {
    site.build("a").join("run/zerg.draining").exists()
}

#[test]
fn a_deactivate_that_was_killed_can_be_run_again_or_taken_back() {
    let site = running("\n[uwsgi]\nworkers = 1\n");
    for verb in ["deactivate", "activate"] {
        let request = slow(&site, "a", 2);
        let mut killed = site.command(&["deactivate", "a"]).spawn().unwrap();
        wait_for("the drain", || drains(&site));
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert_eq!(site.status("a")["state"], "active", "a build that will pause is not ready");
        assert_eq!(site.json(&[verb, "a"])["changed"], true);
        answered(request, "a");
        site.ok(&["activate", "a"]);
        assert_eq!(get(site.port("a"), "/").0, 200);
    }
}

#[test]
fn a_deactivate_that_was_killed_after_the_pause_can_be_run_again_or_taken_back() {
    let site = running("");
    for verb in ["deactivate", "activate"] {
        // What is there then.
        site.write("deploy/builds/a/run/zerg.draining", "");
        site.write("deploy/builds/a/run/zerg.fifo", "p");
        wait_for("the pause", || workers(&site, "a").iter().all(|worker| worker["status"] == "pause"));
        let request = held(&site, "a", site.port("a"));
        assert_eq!(site.status("a")["state"], "active");
        assert_eq!(site.json(&[verb, "a"])["changed"], true);
        site.ok(&["activate", "a"]);
        answered(request, "a");
    }
}
