//! New workers for a build that serves.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use crate::load::{CONFIG, Crowd, Load};
use crate::look::{in_request, processes_of, stats, worker_pids};
use crate::site::{Site, get, wait_for};

#[test]
fn no_request_is_lost_and_none_is_cut() {
    for extra in ["", "\n[uwsgi]\nthreads = 3\n", "\n[nginx]\nupstream = \"port\"\n"] {
        let site = Site::ready("load", &format!("{CONFIG}{extra}"));
        let load = Load::start(&[Crowd::at(site.live_port(), 6)]);
        let port = site.live_port();
        for _ in 0..3 {
            let slow = thread::spawn(move || get(port, "/slow?seconds=1"));
            let before = worker_pids(&site, "a");
            site.ok(&["restart", "live"]);
            assert!(before.is_disjoint(&worker_pids(&site, "a")));
            assert_eq!(slow.join().unwrap().0, 200);
        }
        load.stop().assert_whole();
        let links = ["zerg.ini", "zerg-2.ini"].map(|link| site.build("a").join(link).is_symlink());
        assert_eq!(links, [false, true], "three restarts leave the workers in the second slot");
    }
}

const TELLS_ITS_COLOUR: &str = r#"
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("COLOUR", "none").encode()]
"#;

#[test]
fn new_workers_have_the_new_settings() {
    let site = Site::up("plain", "");
    site.write("wsgi.py", TELLS_ITS_COLOUR);
    site.ok(&["init"]);
    site.configure("\n[uwsgi]\nworkers = 3\n\n[env]\nCOLOUR = \"blue\"\n");
    let done = site.json(&["restart", "a"]);
    assert_eq!((&done["changed"], &done["build"]), (&true.into(), &"a".into()));
    assert_eq!(done["workers"].as_array().unwrap().len(), 3);
    assert_eq!(site.live("/"), (200, "blue".into()));
    let status = site.status("a");
    assert_eq!((&status["state"], &status["workers"]), (&"ready".into(), &3.into()));
    site.ok(&["warmup", "a"]);
    assert_eq!(site.status("a")["state"], "warm");
    site.ok(&["swap-live"]);
    site.ok(&["restart", "live"]);
}

#[test]
fn an_application_that_does_not_load_leaves_the_old_workers_at_work() {
    let site = Site::ready("plain", "");
    let before = worker_pids(&site, "a");
    let ini = site.read("deploy/builds/a/build.ini");
    site.write("deploy/builds/a/wsgi.py", "import no_such_module\n");
    site.configure("\n[uwsgi]\nworkers = 3\n\n[env]\nCOLOUR = \"blue\"\n");
    let error = site.fails(5, &["restart", "a"]);
    assert!(error.contains("No module named 'no_such_module'"), "{error}");
    assert_eq!(worker_pids(&site, "a"), before);
    assert_eq!(site.live("/").0, 200);
    assert!(!site.build("a").join("zerg-2.ini").is_symlink());
    assert_eq!(site.read("deploy/builds/a/build.ini"), ini, "the next start is as the last one was");
    assert!(!site.build("a").join("run/env/COLOUR").exists());
}

#[test]
fn only_workers_that_run_are_replaced() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let error = site.fails(3, &["restart", "a"]);
    assert!(error.contains("it has no workers") && error.contains("next: builds activate a"), "{error}");
    assert!(site.fails(2, &["restart", "q"]).contains("no build q"));
}

#[test]
fn workers_on_a_dead_socket_are_found_and_replaced() {
    let site = Site::ready("plain", "");
    let socket = site.build("a").join("run/web-1.sock");
    let lost = |site: &Site| site.run(&["doctor"]).err.contains("the workers of build a sit on a dead socket");
    assert!(!lost(&site));
    fs::remove_file(&socket).unwrap();
    assert_eq!(site.live("/").0, 503);
    assert!(lost(&site));
    site.ok(&["restart", "a"]);
    assert_eq!(site.live("/").0, 200);
    assert!(!lost(&site));

    let socket = site.build("a").join("run/web-2.sock");
    fs::remove_file(&socket).unwrap();
    let stranger = UnixListener::bind(&socket).unwrap();
    assert!(lost(&site));
    let error = site.fails(1, &["restart", "a"]);
    assert!(error.contains("web-1.sock: No such file") && error.contains("builds stop a"), "{error}");
    for command in ["swap-live", "create c", "stage c", "stop a", "stage a", "swap-live"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    drop(stranger);
    assert!(!lost(&site));
    assert!(site.live("/").1.contains(r#""build": "a""#));
}

#[test]
fn a_killed_restart_is_ended_by_the_next_command() {
    for command in ["restart", "activate"] {
        let site = Site::ready("plain", "");
        let port = site.live_port();
        let slow = thread::spawn(move || get(port, "/slow?seconds=5"));
        wait_for("a busy worker", || in_request(&site, "a") == 1);
        let mut restart = site.command(&["restart", "a"]).spawn().unwrap();
        wait_for("the drain", || site.build("a").join("run/zerg.draining").exists());
        restart.kill().unwrap();
        restart.wait().unwrap();
        assert!(site.build("a").join("zerg.ini").is_symlink(), "the old workers still have a request");
        let found = site.ok(&["doctor"]);
        assert!(found.contains("build a still has the workers that a restart has replaced"), "{found}");
        assert_eq!(site.live("/").0, 200);
        assert_eq!(site.json(&[command, "a"])["changed"], true);
        assert_eq!(slow.join().unwrap().0, 200);
        assert_eq!(site.live("/").0, 200);
        let links = ["zerg.ini", "zerg-2.ini"].map(|link| site.build("a").join(link).is_symlink());
        assert_eq!(links.iter().filter(|&&link| link).count(), 1, "{links:?} after {command}");
        let masters =
            processes_of(&site).iter().filter(|process| process.title == "it-a-untagged uWSGI master").count();
        assert_eq!(masters, 2, "a vassal and a zerg");
    }
}

#[test]
fn requests_that_come_late_to_the_old_workers_are_answered() {
    let site = Site::ready("plain", "");
    let port = site.live_port();
    let slow = thread::spawn(move || get(port, "/slow?seconds=1"));
    wait_for("a busy worker", || in_request(&site, "a") == 1);
    let old = site.build("a").join("run/web-1.sock");
    thread::scope(|scope| {
        let restart = scope.spawn(|| site.ok(&["restart", "a"]));
        wait_for("the drain", || site.build("a").join("run/zerg.draining").exists());
        // nginx may have looked up the old socket just before the link was moved.
        for _ in 0..4 {
            let answer = ask(&old);
            assert!(answer.contains("200 OK"), "{answer}");
        }
        restart.join().unwrap();
    });
    assert_eq!(slow.join().unwrap().0, 200);
    assert!(stats(&site, "a").is_some());
}

/// A request by the uwsgi protocol: a header with the length of the variables, then each as two strings with lengths.
fn ask(socket: &Path) -> String {
    let mut variables = Vec::new();
    for text in ["REQUEST_METHOD", "GET", "PATH_INFO", "/", "SERVER_PROTOCOL", "HTTP/1.1"] {
        variables.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        variables.extend(text.as_bytes());
    }
    let [low, high] = u16::try_from(variables.len()).unwrap().to_le_bytes();
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(&[[0, low, high, 0].as_slice(), &variables].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
