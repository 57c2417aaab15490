//! `swap-live`: one exchange, and the next request shows the new build.

use std::fs::{OpenOptions, canonicalize};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::load::{Crowd, Load};
use crate::look::{names, nginx_workers, shown};
use crate::proof::operations;
use crate::site::{Site, wait_for};

const PORT_MODE: &str = "\n[nginx]\nupstream = \"port\"\n";

#[test]
fn a_swap_exchanges_live_and_stage_and_leaves_nginx_alone() {
    let site = Site::ready("plain", "");
    let workers = nginx_workers(&site);
    let said = site.json(&["swap-live"]);
    let expected =
        json!({ "command": "swap-live", "changed": true, "live": "b", "stage": "a", "nginx_reloaded": false });
    assert_eq!(said, expected);
    assert_eq!(site.names(), names("b", "a"));
    assert_eq!(shown(&site), "b");
    assert!(site.staged("/").1.contains(r#""build": "a""#));
    assert_eq!(nginx_workers(&site), workers);
}

#[test]
fn only_a_ready_build_goes_live_and_the_old_live_build_is_staged_then() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    let error = site.fails(3, &["swap-live", "c"]);
    assert!(error.contains("build c is not ready") && error.contains("next: builds stage c"), "{error}");
    assert_eq!(site.names(), names("a", "b"));

    site.ok(&["activate", "c"]);
    assert_eq!(site.ok(&["swap-live", "c"]), "build c is live; a is staged\n");
    assert_eq!(site.names(), names("c", "a"));
    assert_eq!(shown(&site), "c");

    assert_eq!(site.ok(&["swap-live", "c"]), "build c was live already\n");
    site.unchanged(&["swap-live", "live"]);
    assert_eq!(site.names(), names("c", "a"));
}

#[test]
fn the_next_request_after_a_swap_shows_the_new_build() {
    let site = Site::ready("plain", "");
    for _ in 0..20 {
        for live in ["b", "a"] {
            site.ok(&["swap-live", live]);
            assert_eq!(shown(&site), live);
        }
    }
}

#[test]
fn with_ports_nginx_is_reloaded_where_something_differs() {
    let site = Site::ready("plain", PORT_MODE);
    for live in ["b", "a", "b"] {
        let before = nginx_workers(&site);
        assert_eq!(site.json(&["swap-live"])["nginx_reloaded"], true);
        assert_eq!(shown(&site), live);
        assert!(nginx_workers(&site).is_disjoint(&before));
    }
    let before = nginx_workers(&site);
    assert_eq!(site.json(&["swap-live", "b"])["nginx_reloaded"], false);
    assert_eq!(site.json(&["stage", "a"])["nginx_reloaded"], false);
    assert_eq!(nginx_workers(&site), before);
}

#[test]
fn with_ports_a_conf_that_nginx_refuses_takes_the_swap_back() {
    let site = Site::ready("plain", PORT_MODE);
    let workers = nginx_workers(&site);
    let good = site.read("deploy/conf/locations.conf");
    let mut conf = OpenOptions::new().append(true).open(site.root().join("conf/locations.conf")).unwrap();
    writeln!(conf, "no_such_directive;").unwrap();

    let error = site.fails(6, &["swap-live"]);
    assert!(error.contains("taken back") && error.contains("no_such_directive"), "{error}");
    assert_eq!(site.names(), names("a", "b"));
    assert_eq!(shown(&site), "a");
    assert_eq!(nginx_workers(&site), workers);

    site.write("deploy/conf/locations.conf", &good);
    site.ok(&["swap-live"]);
    assert_eq!(shown(&site), "b");
}

#[test]
fn with_ports_a_swap_that_was_killed_in_the_reload_leaves_nobody_mistaken() {
    let site = Site::ready("plain", PORT_MODE);
    // A master that is stopped gets the signal to reload only after the command is dead.
    let master = Pid::from_raw(site.read("deploy/run/nginx.pid").trim().parse().unwrap());
    kill(master, Signal::SIGSTOP).unwrap();
    let record = site.root().join("run/nginx.loaded");
    let mut swap = site.command(&["swap-live"]).spawn().unwrap();
    wait_for("the reload", || !record.exists());
    wait_for("the signal", || pending(master).contains("0000000000000001"));
    swap.kill().unwrap();
    swap.wait().unwrap();
    kill(master, Signal::SIGCONT).unwrap();
    wait_for("build b at the live server", || shown(&site) == "b");

    assert_eq!(site.names(), names("b", "a"));
    assert_eq!(site.json(&["swap-live", "a"])["nginx_reloaded"], true);
    assert_eq!(shown(&site), "a");
}

/// The signals that wait for a process, as `/proc` shows them.
fn pending(pid: Pid) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find(|line| line.starts_with("ShdPnd:")).unwrap().to_owned()
}

#[test]
fn a_changed_upstream_mode_is_refused_until_init_has_changed_all_of_it() {
    let site = Site::ready("plain", "");
    for (mode, other) in [("port", "socket"), ("socket", "port")] {
        site.configure(&format!("\n[nginx]\nupstream = {mode:?}\n"));
        let error = site.fails(1, &["swap-live"]);
        assert!(error.contains(&format!("nginx.upstream is {mode:?}")), "{other} {error}");
        assert_eq!((site.names(), shown(&site)), (names("a", "b"), "a".into()));
        std::fs::remove_file(site.root().join("conf/pass.conf")).unwrap();
        assert_eq!(site.json(&["init"])["nginx_reloaded"], true);
        for live in ["b", "a"] {
            assert_eq!(site.json(&["swap-live"])["nginx_reloaded"], mode == "port");
            assert_eq!(shown(&site), live);
            assert_eq!(site.staged("/").0, 200);
        }
    }
}

#[test]
fn live_and_stage_are_two_builds_at_every_instant() {
    two_builds_at_every_instant(Site::ready("plain", ""));
}

#[test]
fn live_and_stage_are_two_builds_at_every_instant_without_an_exchange() {
    two_builds_at_every_instant(without_exchange(Site::ready("plain", "")));
}

/// The site as on a file system that does not let two names change places.
fn without_exchange(mut site: Site) -> Site {
    let fault = ["strace", "-o", "/dev/null", "-e", "trace=renameat2", "-e", "inject=renameat2:error=EINVAL"];
    site.caller.splice(0..0, fault.map(str::to_owned));
    site
}

fn two_builds_at_every_instant(site: Site) {
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    let (swaps, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let looks = thread::scope(|scope| {
        let reader = scope.spawn(|| watch_names(&site, &swaps, &done));
        for number in 0..50 {
            // By turns of a build without a name, and of stage.
            let verb = [&["swap-live", "c"][..], &["swap-live", "b"], &["swap-live", "a"], &["swap-live"]][number % 4];
            let said = site.run(verb);
            swaps.fetch_add(1, Ordering::SeqCst);
            if said.code != 0 {
                done.store(true, Ordering::SeqCst);
            }
            assert_eq!(said.code, 0, "{said:?}");
        }
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(looks > 50, "the names were seen {looks} times only");
}

/// Looks at both names again and again; how often it saw them as they were at one instant.
fn watch_names(site: &Site, swaps: &AtomicUsize, done: &AtomicBool) -> usize {
    let read = |link: &str| {
        let link = site.root().join("builds").join(link);
        let build = canonicalize(&link).unwrap();
        assert!(link.join("build.json").exists(), "{} is no build", link.display());
        build
    };
    let mut looks = 0;
    while !done.load(Ordering::SeqCst) {
        let before = swaps.load(Ordering::SeqCst);
        let (live, stage, live_still) = (read("_live"), read("_stage"), read("_live"));
        // Within one command live changes once at most. So where it did not, both names were read as of one instant.
        if live == live_still && before == swaps.load(Ordering::SeqCst) {
            assert_ne!(live, stage);
            looks += 1;
        }
    }
    looks
}

#[test]
fn no_request_fails_through_twenty_swaps() {
    no_request_fails(&operations::site(""));
}

#[test]
fn no_request_fails_through_twenty_swaps_without_an_exchange() {
    no_request_fails(&without_exchange(operations::site("")));
}

fn no_request_fails(site: &Site) {
    let load = Load::start(&[Crowd { slow: 2, ..Crowd::at(site.live_port(), 64) }]);
    operations::swaps(site, 20);
    load.await_all();
    let seen = load.stop();
    seen.assert_whole();
    assert_eq!(seen.builds.len(), 2, "{:?}", seen.builds);
}
