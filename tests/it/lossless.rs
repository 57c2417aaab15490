//! Users who never stop asking notice no command. `make load` tries the same more often.

use crate::load::{CONFIG, Crowd, KeepAlive, Load};
use crate::proof::operations::{deploys, holds, site};
use crate::site::Site;

#[test]
fn no_request_fails_through_whole_deploys() {
    let site = site("");
    let load = Load::start(&[Crowd { slow: 1, ..Crowd::at(site.live_port(), 8) }, Crowd::at(site.stage_port(), 4)]);
    deploys(&site, 2);
    load.await_all();
    let seen = load.stop();
    seen.assert_whole();
    let builds: Vec<_> = seen.builds.iter().map(String::as_str).collect();
    assert_eq!(builds, ["a untagged", "b round-1", "b untagged", "c round-0"]);
}

#[test]
fn no_request_fails_while_a_build_comes_and_goes() {
    for threads in [1, 3] {
        let site = Site::up("load", &format!("{CONFIG}\n[uwsgi]\nthreads = {threads}\n"));
        site.ok(&["create", "c"]);
        site.ok(&["activate", "c"]);
        // One user, as workers only pause in a moment without requests: none come to a build that a swap has left.
        let load = Load::start(&[Crowd { files: site.live_port(), ..Crowd::at(site.port("c"), 1) }]);
        holds(&site, 4);
        load.await_all();
        load.stop().assert_whole();
    }
}

#[test]
fn no_request_fails_through_swaps_with_ports() {
    let site = site("upstream = \"port\"");
    let load = Load::start(&[Crowd { keep_alive: KeepAlive::None, ..Crowd::at(site.live_port(), 4) }]);
    for _ in 0..5 {
        assert_eq!(site.json(&["swap-live"])["nginx_reloaded"], true);
    }
    let seen = load.stop();
    seen.assert_whole();
    assert_eq!(seen.builds.len(), 2);
}
