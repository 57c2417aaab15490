//! Requests to live wait, and none is lost.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{CONFIG, Crowd, Load};
use crate::look::{in_request, processes_of};
use crate::site::{Site, get, wait_for};

/// Sends so many requests at once, each on a connection of its own, and prints how many were answered by which build.
const MANY: &str = r#"
import asyncio, collections, re, sys
port, count = int(sys.argv[1]), int(sys.argv[2])

async def ask():
    for _ in range(50):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            pass
    writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    answer = await reader.read(-1)
    writer.close()
    found = re.search(rb'"build": "([a-z]+)"', answer)
    return found.group(1).decode() if found and b" 200 " in answer[:20] else answer[:20]

async def main():
    print(dict(collections.Counter(await asyncio.gather(*(ask() for _ in range(count))))))

asyncio.run(main())
"#;

/// Requests that come whether those before are answered or not.
struct Flow {
    began: Instant,
    asked: Vec<thread::JoinHandle<(u16, String)>>,
}

impl Flow {
    fn begin() -> Self {
        Self { began: Instant::now(), asked: Vec::new() }
    }

    /// Lets it flow until so many seconds after its beginning: 70 requests a second.
    fn until(&mut self, port: u16, seconds: u64) {
        while self.began.elapsed() < Duration::from_secs(seconds) {
            let due = Duration::from_millis(1000 * self.asked.len() as u64 / 70);
            wait_for("the next request", || self.began.elapsed() >= due);
            self.asked.push(thread::spawn(move || get(port, "/")));
        }
    }

    fn end(self) -> Vec<String> {
        self.asked
            .into_iter()
            .map(|asked| {
                let (status, text) = asked.join().unwrap();
                assert_eq!(status, 200, "{text}");
                text
            })
            .collect()
    }
}

fn waiting(site: &Site) -> u64 {
    site.json(&["status"])["paused"]["waiting"].as_u64().unwrap_or(0)
}

/// The process that ends a pause of live in time.
fn keeper(site: &Site) -> Option<i32> {
    processes_of(site).iter().find(|process| process.title.contains(" hold a ")).map(|process| process.pid)
}

#[test]
fn no_request_is_lost_through_a_pause_under_load() {
    for mode in ["socket", "port"] {
        let extra = format!("{CONFIG}\n[uwsgi]\nworkers = 8\n\n[nginx]\nupstream = \"{mode}\"\n");
        let site = Site::ready("load", &extra);
        let load = Load::start(&[Crowd { slow: 2, ..Crowd::at(site.live_port(), 32) }]);
        load.await_all();
        let mut flow = Flow::begin();
        flow.until(site.live_port(), 1);
        let paused = site.json(&["pause"]);
        assert_eq!((&paused["changed"], &paused["build"]), (&true.into(), &"a".into()), "{paused}");
        let until = flow.began.elapsed().as_secs() + 8;
        flow.until(site.live_port(), until);
        let waits = waiting(&site);
        assert!(waits > 400, "{waits}");
        let resumed = site.json(&["resume"]);
        assert!(resumed["changed"] == true && resumed["held"].as_u64() >= Some(waits), "{resumed}");
        assert_eq!(site.json(&["status"])["paused"], serde_json::Value::Null);
        flow.until(site.live_port(), until + 2);
        load.await_all();
        flow.end();
        load.stop().assert_whole();
        assert_eq!(keeper(&site), None);
        assert!(!site.build("a").join("run/pause").exists());
    }
}

#[test]
fn three_thousand_requests_wait_for_a_pause_to_end() {
    let site = Site::ready("plain", "\n[uwsgi]\nworkers = 4\n");
    site.ok(&["pause", "--max", "50"]);
    let client = Command::new("python3")
        .args(["-c", MANY, &site.live_port().to_string(), "3000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("all to wait", || waiting(&site) == 3000);
    site.ok(&["resume"]);
    let said = String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(said, "{'a': 3000}\n");
}

#[test]
fn a_pause_ends_by_itself() {
    let site = Site::ready("plain", "");
    let before = Instant::now();
    let said = site.ok(&["pause", "--max", "3"]);
    assert!(said.starts_with("build a is paused: requests wait for "), "{said}");
    let said = site.ok(&["pause"]);
    assert!(said.starts_with("build a is paused already: requests wait for "), "the first one counts: {said}");
    site.unchanged(&["pause"]);
    assert!(site.ok(&["status"]).contains("build a is paused for "));
    assert!(site.ok(&["doctor"]).contains("build a is paused: 0 requests waiting"));
    assert_eq!(site.live("/").0, 200);
    assert!(before.elapsed() >= Duration::from_secs(3));
    wait_for("the end of the keeper", || keeper(&site).is_none());
    assert_eq!(site.ok(&["resume"]), "nothing was paused\n");
    site.unchanged(&["resume"]);
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
}

#[test]
fn a_swap_ends_a_pause_and_the_new_live_build_answers_what_has_waited() {
    for mode in ["socket", "port"] {
        let site = Site::ready("plain", &format!("\n[nginx]\nupstream = \"{mode}\"\n"));
        site.ok(&["pause"]);
        let mut flow = Flow::begin();
        flow.until(site.live_port(), 2);
        assert!(waiting(&site) > 50);
        assert_eq!(site.run(&["run", "live", "--", "true"]).code, 0);
        site.ok(&["swap-live"]);
        flow.until(site.live_port(), 4);
        let answers = flow.end();
        assert!(answers.iter().all(|text| text.contains(r#""build": "b""#)), "{mode}: {answers:?}");
        wait_for("the end of the keeper", || keeper(&site).is_none());
        assert_eq!(site.ok(&["resume"]), "nothing was paused\n");
        site.ok(&["swap-live"]);
        assert!(site.live("/").1.contains(r#""build": "a""#));
    }
}

#[test]
fn requests_that_take_too_long_for_a_pause_are_finished_and_the_others_go_on() {
    let site = Site::ready("plain", "");
    let port = site.live_port();
    let slow = thread::spawn(move || get(port, "/slow?seconds=6"));
    wait_for("a slow request", || in_request(&site, "a") == 1);
    let said = site.fails(1, &["pause", "--max", "2"]);
    assert!(said.contains("build a still has 1 request after 2 s") && said.contains("longer --max"), "{said}");
    assert_eq!(site.live("/").0, 200);
    assert!(!slow.is_finished());
    assert_eq!(slow.join().unwrap().0, 200);
}

#[test]
fn a_pause_that_is_interrupted_or_killed_leaves_nobody_waiting() {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let site = Site::ready("plain", "");
        let port = site.live_port();
        let slow = thread::spawn(move || get(port, "/slow?seconds=4"));
        wait_for("a slow request", || in_request(&site, "a") == 1);
        let mut pause = site.command(&["pause", "--max", "6"]).spawn().unwrap();
        wait_for("the pause", || held(&site));
        let waits = thread::spawn(move || get(port, "/"));
        wait_for("one who waits", || waiting(&site) == 1);
        kill(Pid::from_raw(pause.id() as i32), signal).unwrap();
        pause.wait().unwrap();
        assert_eq!(waits.join().unwrap().0, 200, "{signal}");
        assert!(signal == Signal::SIGKILL || !slow.is_finished(), "an interrupted pause ends at once");
        assert_eq!(slow.join().unwrap().0, 200);
        wait_for("the end of the keeper", || keeper(&site).is_none() && !held(&site));
    }
}

#[test]
fn a_pause_that_nobody_ends_is_found_and_ended_by_resume() {
    let site = Site::ready("plain", "");
    site.ok(&["pause", "--max", "2"]);
    kill(Pid::from_raw(keeper(&site).unwrap()), Signal::SIGKILL).unwrap();
    let port = site.live_port();
    let waits = thread::spawn(move || get(port, "/"));
    wait_for("one who waits", || waiting(&site) == 1);
    wait_for("a finding", || {
        let said = site.run(&["doctor"]);
        said.code == 1 && said.err.contains("build a is paused for longer than it should be: 1 request waiting")
    });
    for command in ["swap-live", "create c", "stage c"] {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    for command in ["restart", "deactivate", "stop", "archive", "rm"] {
        let said = site.fails(3, &[command, "a"]);
        assert!(said.contains("build a is paused") && said.contains("next: builds resume"), "{command}: {said}");
    }
    assert_eq!(site.ok(&["resume"]), "requests go on; 1 had waited\n");
    assert!(waits.join().unwrap().1.contains(r#""build": "b""#));
}

#[test]
fn a_pause_that_nobody_ends_is_begun_anew() {
    let site = Site::ready("plain", "");
    site.ok(&["pause", "--max", "1"]);
    kill(Pid::from_raw(keeper(&site).unwrap()), Signal::SIGKILL).unwrap();
    let port = site.live_port();
    let waits = thread::spawn(move || get(port, "/"));
    wait_for("one who waits", || waiting(&site) == 1);
    wait_for("a finding", || site.run(&["doctor"]).err.contains("paused for longer than it should be"));
    let said = site.json(&["pause", "--max", "1"]);
    assert_eq!(said["changed"], true, "{said}");
    assert_eq!(waits.join().unwrap().0, 200);
    wait_for("the end of the keeper", || keeper(&site).is_none());
    assert_eq!(site.ok(&["resume"]), "nothing was paused\n");
}

#[test]
fn all_pauses_end_though_one_cannot() {
    let site = Site::ready("plain", "");
    site.ok(&["swap-live"]);
    site.ok(&["pause", "--max", "50"]);
    // What is left of an earlier one, and cannot be removed.
    fs::create_dir(site.build("a").join("run/pause")).unwrap();
    let said = site.fails(1, &["resume"]);
    assert!(said.contains("build a still has 0 requests waiting") && said.contains("logs/pause.log tells"), "{said}");
    assert_eq!(site.json(&["status"])["paused"], serde_json::Value::Null);
    assert!(site.live("/").1.contains(r#""build": "b""#));
}

#[test]
fn a_pause_ends_with_the_vassal_that_holds_requests() {
    let mut site = Site::ready("plain", "");
    site.ok(&["pause", "--max", "50"]);
    assert!(held(&site));
    site.kill();
    site.start();
    site.ok(&["init"]);
    assert!(!held(&site));
    assert_eq!(site.live("/").0, 200);
    site.ok(&["pause"]);
    site.ok(&["resume"]);
}

#[test]
fn workers_in_either_slot_are_paused_and_an_older_conf_is_told() {
    let site = Site::ready("plain", "");
    for _ in 0..2 {
        site.ok(&["restart", "a"]);
        site.ok(&["pause"]);
        let said = site.fails(3, &["restart", "live"]);
        assert!(said.contains("build a is paused") && said.contains("next: builds resume"), "{said}");
        site.ok(&["resume"]);
        assert_eq!(site.live("/").0, 200);
    }
    let script = site.read("deploy/conf/uwsgi.sh");
    site.write("deploy/conf/uwsgi.sh", &script.replace("hold-", "hodl-"));
    let said = site.fails(1, &["pause"]);
    assert!(said.contains("conf/uwsgi.sh is not made for this") && said.contains("then builds init;"), "{said}");
}

fn held(site: &Site) -> bool {
    fs::read_link(site.build("a").join("run/web.sock")).is_ok_and(|link| link.starts_with("hold-1.sock"))
}
