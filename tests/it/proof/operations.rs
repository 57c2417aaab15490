//! Operations of which users must notice nothing.

use std::time::{Duration, Instant};

use crate::load::{CONFIG, Crowd, Load};
use crate::site::{Site, wait_for};

/// A site with live and stage for load to be put on, with workers for some slow requests, too. `nginx` is the rest of its
/// section of the configuration.
pub fn site(nginx: &str) -> Site {
    Site::ready("load", &format!("{CONFIG}\n[uwsgi]\nworkers = 8\n\n[nginx]\n{nginx}\n"))
}

/// Runs a command, written as in a shell.
#[track_caller]
fn run(site: &Site, command: &str) {
    site.ok(&command.split(' ').collect::<Vec<_>>());
}

/// Runs one command and then the other, so many times.
#[track_caller]
fn in_turn(site: &Site, count: usize, [one, other]: [&str; 2]) {
    for _ in 0..count {
        run(site, one);
        run(site, other);
    }
}

#[track_caller]
pub fn swaps(site: &Site, count: usize) {
    (0..count).for_each(|_| run(site, "swap-live"));
}

/// Whole deploys: stage and swap, end the build that has no name any more, and create the next in its place.
#[track_caller]
pub fn deploys(site: &Site, count: usize) {
    run(site, "create c --tag round-0");
    let mut next = "c".to_owned();
    for round in 1..=count {
        let (_, old) = site.names();
        run(site, &format!("stage {next}"));
        run(site, "swap-live");
        run(site, &format!("deactivate {old}"));
        if round % 2 == 0 {
            run(site, &format!("archive {old}"));
        }
        run(site, &format!("rm {old}"));
        next = site.ok(&["find-free"]).trim().to_owned();
        run(site, &format!("create {next} --tag round-{round}"));
    }
}

/// Build c comes and goes; what is asked meanwhile is held.
#[track_caller]
pub fn holds(site: &Site, count: usize) {
    in_turn(site, count, ["deactivate c", "activate c"]);
}

/// Nobody answers at build c for 50 s, and 64 users more come.
#[track_caller]
pub fn long_holds(site: &Site, count: usize) {
    for _ in 0..count {
        run(site, "deactivate c");
        let more = Load::start(&[Crowd { files: site.live_port(), ..Crowd::at(site.port("c"), 64) }]);
        let since = Instant::now();
        wait_for("the end of 50 s", || since.elapsed() >= Duration::from_secs(50));
        run(site, "activate c");
        more.await_all();
        more.stop().assert_whole();
    }
}

/// New workers for live.
#[track_caller]
pub fn restarts(site: &Site, count: usize) {
    (0..count).for_each(|_| run(site, "restart live"));
}

/// A deploy in one command, and every other time the way back.
#[track_caller]
pub fn whole_deploys(site: &Site, count: usize) {
    for round in 0..count {
        run(site, &format!("deploy --tag round-{round}"));
        if round % 2 == 1 {
            run(site, "rollback");
        }
    }
}

#[track_caller]
pub fn rollbacks(site: &Site, count: usize) {
    in_turn(site, count, ["swap-live", "rollback"]);
}

/// A worker of the staged build answers some of live's requests, for a while.
#[track_caller]
pub fn canaries(site: &Site, count: usize) {
    in_turn(site, count, ["canary stage --workers 1", "canary --off"]);
}

/// Requests to live are held, as for a short migration.
#[track_caller]
pub fn pauses(site: &Site, count: usize) {
    in_turn(site, count, ["pause", "resume"]);
}
