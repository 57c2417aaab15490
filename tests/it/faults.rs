//! Any process may die: everything comes back by itself, and nobody waits for long.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{CONFIG, Crowd, Load};
use crate::look::{processes_of, worker_pids};
use crate::site::{Site, get, wait_for};

/// The pids whose title contains this, under a parent whose title contains that.
fn pids(site: &Site, title: &str, parent: &str) -> Vec<i32> {
    let all = processes_of(site);
    let under = |pid: i32| all.iter().any(|process| process.pid == pid && process.title.contains(parent));
    all.iter().filter(|process| process.title.contains(title) && under(process.parent)).map(|one| one.pid).collect()
}

#[track_caller]
fn kill_one(site: &Site, title: &str, parent: &str) {
    let pid = pids(site, title, parent)[0];
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    wait_for("another process in its place", || pids(site, title, parent).iter().any(|&new| new != pid));
}

/// uWSGI from the distribution, and one that the build brings itself.
const UWSGIS: [&str; 2] = ["", "pyuwsgi"];

fn ready_with(uwsgi: &str) -> Site {
    let site = Site::up("load", CONFIG);
    if !uwsgi.is_empty() {
        site.write("requirements.txt", uwsgi);
    }
    site.ok(&["init"]);
    site
}

#[test]
fn a_killed_vassal_costs_no_request_and_no_worker() {
    for uwsgi in UWSGIS {
        let site = ready_with(uwsgi);
        // In the second slot, too.
        for _ in 0..2 {
            let workers = worker_pids(&site, "a");
            let load = Load::start(&[Crowd::at(site.live_port(), 4)]);
            for _ in 0..3 {
                kill_one(&site, "it-a-", "vassals uWSGI Emperor");
                wait_for("the port", || get(site.port("a"), "/").0 == 200);
            }
            load.stop().assert_whole();
            assert_eq!(worker_pids(&site, "a"), workers);
            site.ok(&["restart", "a"]);
        }
    }
}

#[test]
fn killed_workers_leave_nobody_behind_and_come_back() {
    let site = ready_with("");
    let old = worker_pids(&site, "a");
    kill_one(&site, "it-a-", "zergs uWSGI Emperor");
    wait_for("the end of workers without a master", || {
        old.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap())
    });
    wait_for("new workers", || ["ready", "warm"].contains(&site.status("a")["state"].as_str().unwrap()));
    for pid in worker_pids(&site, "a") {
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    }
    assert_eq!(site.live("/").0, 200, "the request waits for a worker");
}

#[test]
fn killed_emperors_come_back_with_all_that_they_ran() {
    let site = ready_with("");
    let load = Load::start(&[Crowd::at(site.live_port(), 2)]);
    kill_one(&site, "vassals uWSGI Emperor", "vassals uWSGI master");
    wait_for("the vassals", || pids(&site, "it-", "vassals uWSGI Emperor").len() == 2);
    load.stop().assert_whole();
    kill_one(&site, "zergs uWSGI Emperor", "zergs uWSGI master");
    wait_for("the workers", || ["a", "b"].iter().all(|build| worker_pids(&site, build).len() == 2));
    kill_one(&site, "zergs uWSGI master", "vassals uWSGI master");
    assert_eq!(site.live("/").0, 200);
    wait_for("all workers", || ["ready", "warm"].contains(&site.status("b")["state"].as_str().unwrap()));
    site.ok(&["swap-live"]);
}

#[test]
fn the_workers_of_a_killed_nginx_make_way_for_the_next_one() {
    let mut site = ready_with("");
    let nginx = |site: &Site| pids(site, "nginx: worker", "nginx: master");
    let old = nginx(&site);
    kill_one(&site, "nginx: master", "vassals uWSGI master");
    wait_for("the end of the old workers", || old.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap()));
    wait_for("new workers", || site.live("/").0 == 200);

    kill(Pid::from_raw(site.up_pid()), Signal::SIGKILL).unwrap();
    site.wait();
    site.start();
    wait_for("the live build", || site.live("/").0 == 200);
    assert_eq!(processes_of(&site).iter().filter(|process| process.title.starts_with("nginx: master")).count(), 1);
}
