//! `up` runs the whole stack, and takes all of it away again.

use std::fs::{self, File};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::look::{processes_of, worker_pids};
use crate::site::{Site, get, wait_for};

#[test]
fn before_init_a_welcome_page_is_served() {
    let site = Site::up("plain", "");
    for (status, body) in [site.live("/"), site.staged("/some/path?x=y")] {
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("Nothing is live yet") && body.contains("builds init"), "{body}");
    }
    assert_eq!(site.live("/static/x.css").0, 404);
}

#[test]
fn while_a_build_does_not_listen_a_page_says_so() {
    let site = Site::ready("plain", "");
    fs::remove_file(site.build("a").join("vassal.ini")).unwrap();
    wait_for("the end of the vassal", || TcpStream::connect(("127.0.0.1", site.port("a"))).is_err());
    let (status, body) = site.live("/");
    assert_eq!(status, 503);
    assert!(body.contains("Back in a moment") && !body.contains("builds"), "{body}");
    assert_eq!(site.staged("/").0, 200);
    assert_eq!(site.status("a")["state"], "stopped");
}

#[test]
fn ctrl_c_leaves_no_process_behind() {
    let mut site = Site::ready("plain", "");
    assert!(processes_of(&site).len() > 10, "two emperors, nginx and two builds are a lot of processes");
    site.stop();
    nothing_is_left(&site);
}

#[test]
fn sigterm_leaves_no_process_behind() {
    let mut site = Site::ready("plain", "");
    kill(Pid::from_raw(site.up_pid()), Signal::SIGTERM).unwrap();
    site.wait();
    nothing_is_left(&site);
}

#[track_caller]
fn nothing_is_left(site: &Site) {
    wait_for("the end of all processes", || processes_of(site).is_empty());
    for port in [site.live_port(), site.stage_port(), site.port("a"), site.port("b")] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}

#[test]
fn a_second_stack_is_refused() {
    let site = Site::up("plain", "");
    let error = site.fails(1, &["up"]);
    assert!(error.contains("the site is up already") && error.contains("next: builds status"), "{error}");
    let (status, body) = site.live("/");
    assert_eq!(status, 503, "the first one goes on: {body}");

    let other = Site::new("plain", "");
    other.write(
        "builds.toml",
        &other.read("builds.toml").replace(&other.live_port().to_string(), &site.live_port().to_string()),
    );
    let error = other.fails(1, &["up"]);
    assert!(error.contains(&format!("nginx cannot listen on 127.0.0.1:{}", site.live_port())), "{error}");
}

#[test]
fn what_was_live_is_live_again_after_a_restart() {
    let mut site = Site::ready("plain", "");
    site.ok(&["swap-live"]);
    site.stop();
    assert_eq!(site.live("/").0, 0);
    assert!(fs::read_to_string(site.up_file()).unwrap().contains("WSGI app 0"), "what the workers say passes through");
    assert_eq!(site.status("b")["state"], "down");
    site.start();
    wait_for("the live build", || site.live("/").0 == 200);
    assert!(site.live("/").1.contains(r#""build": "b""#));
    wait_for("the staged build", || site.staged("/").1.contains(r#""build": "a""#));
    wait_for("all of its workers", || site.status("a")["state"] != "active");
    assert_eq!(site.names(), ("b".into(), "a".into()));
    // The first of its workers may have answered before the last was there.
    wait_for("all of the staged build", || ["ready", "warm"].contains(&site.status("a")["state"].as_str().unwrap()));
    site.ok(&["swap-live"]);
    assert!(site.live("/").1.contains(r#""build": "a""#));
}

#[test]
fn a_stack_that_was_killed_comes_up_again() {
    let mut site = Site::ready("plain", "");
    site.kill();
    site.start();
    wait_for("the live build", || site.live("/").0 == 200);
    wait_for("the staged build", || site.staged("/").0 == 200);
}

#[test]
fn editing_a_skeleton_restarts_no_running_build() {
    let site = Site::ready("plain", "");
    let before = (worker_pids(&site, "a"), worker_pids(&site, "b"));
    for (skeleton, text) in [("zerg.skel", "procname-append = ` edited`"), ("vassal.skel", "; edited")] {
        let path = site.root().join("conf").join(skeleton);
        fs::write(&path, fs::read_to_string(&path).unwrap() + text + "\n").unwrap();
        // uWSGI looks at whole seconds.
        File::open(&path).unwrap().set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
    }
    // Both emperors look at everything before this build runs.
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    let titles: Vec<String> = processes_of(&site).into_iter().map(|process| process.title).collect();
    assert!(titles.iter().any(|title| title.starts_with("it-c-") && title.contains("edited")), "{titles:?}");
    assert!(
        !fs::read_to_string(site.up_file()).unwrap().contains("reload the uwsgi instance"),
        "an emperor has begun to"
    );
    assert_eq!((worker_pids(&site, "a"), worker_pids(&site, "b")), before);
    assert_eq!(get(site.port("a"), "/").0, 200);
}
