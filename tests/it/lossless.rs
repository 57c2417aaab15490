//! Users who never stop asking notice no command.

use crate::load::{Load, Seen};
use crate::site::Site;

#[track_caller]
pub fn answered_all(seen: &Seen) {
    let some = &seen.failures[..seen.failures.len().min(3)];
    assert!(some.is_empty(), "{} failed, {} were answered: {some:?}", seen.failures.len(), seen.answers);
}

#[test]
fn no_request_fails_through_whole_deploys() {
    let site = Site::ready("plain", "");
    let loads = [Load::on(site.live_port(), 2), Load::on(site.stage_port(), 2)];
    let deploys = [
        ["create c", "stage c", "swap-live", "stop b", "rm b"],
        ["create d", "activate d", "swap-live d", "archive a", "rm a"],
        ["create e", "stage e", "swap-live", "deactivate c", "stage c"],
    ];
    for command in deploys.concat() {
        site.ok(&command.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(site.names(), ("e".into(), "c".into()));
    let [live, staged] = loads.map(Load::stop);
    answered_all(&live);
    answered_all(&staged);
    assert_eq!(live.builds.into_iter().collect::<String>(), "acde");
}

#[test]
fn no_request_fails_while_a_build_comes_and_goes() {
    for extra in ["", "\n[uwsgi]\nthreads = 3\n"] {
        let site = Site::up("plain", extra);
        site.ok(&["create", "a"]);
        let load = Load::on(site.port("a"), 6);
        for _ in 0..4 {
            site.ok(&["activate", "a"]);
            site.ok(&["deactivate", "a"]);
        }
        site.ok(&["activate", "a"]);
        answered_all(&load.stop());
    }
}

#[test]
fn no_request_fails_through_swaps_with_ports() {
    let site = Site::ready("plain", "\n[nginx]\nupstream = \"port\"\n");
    let load = Load::on(site.live_port(), 4);
    for _ in 0..5 {
        assert_eq!(site.json(&["swap-live"])["nginx_reloaded"], true);
    }
    let seen = load.stop();
    answered_all(&seen);
    assert_eq!(seen.builds.len(), 2);
}
