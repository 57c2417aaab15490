//! What can be seen of a running site from outside: processes, uWSGI's stats, sockets.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::site::Site;

/// Names as [`Site::names`] tells them.
pub fn names(live: &str, stage: &str) -> (String, String) {
    (live.into(), stage.into())
}

/// The build that answers at the live server.
#[track_caller]
pub fn shown(site: &Site) -> String {
    let (status, body) = site.live("/");
    assert_eq!(status, 200, "{body}");
    build_of(&body)
}

/// The build that says so in its answer.
#[track_caller]
pub fn build_of(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["build"].as_str().unwrap().to_owned()
}

/// A build's `build.json`.
#[track_caller]
pub fn manifest(site: &Site, build: &str) -> Value {
    serde_json::from_str(&site.read(&format!("deploy/builds/{build}/build.json"))).unwrap()
}

/// A process as `/proc` shows it.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// As `ps` shows it.
    pub title: String,
}

/// The processes that work in a site's directory: whatever `builds up` started does, and so does every command.
pub fn processes_of(site: &Site) -> Vec<Process> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let here = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&site.dir));
    pids.filter(here).filter_map(process).collect()
}

fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(Process { pid, parent, title: String::from_utf8_lossy(&title).replace('\0', " ").trim().to_owned() })
}

/// The workers of the site's nginx that take new connections. A reload replaces them all.
pub fn nginx_workers(site: &Site) -> BTreeSet<i32> {
    let master: i32 = site.read("deploy/run/nginx.pid").trim().parse().unwrap();
    let workers = processes_of(site).into_iter().filter(|process| process.parent == master);
    workers.filter(|process| !process.title.contains("shutting down")).map(|process| process.pid).collect()
}

/// What a uWSGI says of itself at its stats socket; `None` where there is none.
pub fn stats_at(socket: &Path) -> Option<Value> {
    let mut text = String::new();
    UnixStream::connect(socket).ok()?.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// What the zerg of a build says of itself; `None` where there is none.
pub fn stats(site: &Site, build: &str) -> Option<Value> {
    let run = site.build(build).join("run");
    let second = fs::read_link(run.join("web.sock")).is_ok_and(|target| target == Path::new("web-2.sock"));
    stats_at(&run.join(if second { "zerg-2.stats" } else { "zerg.stats" }))
}

/// The workers of a build that uWSGI has started.
pub fn workers(site: &Site, build: &str) -> Vec<Value> {
    let all = stats(site, build).map_or(Value::Null, |stats| stats["workers"].clone());
    all.as_array().into_iter().flatten().filter(|worker| worker["status"] != "cheap").cloned().collect()
}

/// Their process ids.
pub fn worker_pids(site: &Site, build: &str) -> BTreeSet<i64> {
    workers(site, build).iter().map(|worker| worker["pid"].as_i64().unwrap()).collect()
}

/// How many requests a build works on at this moment.
pub fn in_request(site: &Site, build: &str) -> u64 {
    let cores = |worker: &Value| worker["cores"].as_array().unwrap().clone();
    workers(site, build).iter().flat_map(cores).map(|core| core["in_request"].as_u64().unwrap()).sum()
}

/// The connections that wait at a unix socket, be it named by a link, and how many may.
pub fn backlog(socket: &Path) -> Option<(u32, u32)> {
    let socket = fs::read_link(socket).map_or_else(|_| socket.to_owned(), |target| socket.with_file_name(target));
    let all = Command::new("ss").arg("-xlH").output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    let line = all.lines().find(|line| line.split_whitespace().nth(4).is_some_and(|path| Path::new(path) == socket))?;
    let mut numbers = line.split_whitespace().skip(2).map(|number| number.parse().unwrap());
    Some((numbers.next()?, numbers.next()?))
}
