//! What a power cut leaves: every change is on the disk before the next one is made that relies on it.

use std::path::Path;

use super::cases;
use super::trace::{self, Call, paths};
use crate::site::Site;

#[test]
fn what_is_published_is_on_the_disk_before_and_after() {
    let site = Site::ready("plain", "\n[uwsgi]\nworkers = 1\n");
    cases::keep(&site);
    for case in cases::THREE.iter().chain(&cases::NONE) {
        (case.prepare)(&site);
        let (said, calls) = trace::calls(&site, case);
        assert_eq!(said.code, 0, "{said:?}");
        // What the steps of a create make counts once the manifest is complete, and is synced together before that.
        // The link that a pause moves leads to sockets, which no power cut leaves.
        let pause = ["pause", "resume"].contains(&case.args[0]);
        let counts = |call: &Call, number: usize| {
            if pause && call.line.contains("/web.sock") {
                return false;
            }
            let synced = calls.iter().position(|call| call.name == "syncfs").unwrap_or(0);
            number >= synced || call.line.contains("build.json")
        };
        let published = calls.iter().enumerate().filter(|(number, call)| publishes(call) && counts(call, *number));
        for (number, call) in published {
            let (from, to) = (path(call, 0), path(call, paths(&call.line).len() - 1));
            let before = calls[..number].iter().rev();
            let written = before.clone().any(|call| call.name == "write" && paths(&call.line).first() == Some(&from));
            let synced = before.clone().any(|call| call.name == "fsync" && path(call, 0) == from);
            assert!(synced || !written, "{}: not on the disk when published: {call}", case.title());

            let directory = Path::new(&to).parent().unwrap().display().to_string();
            // A new directory has others made in it first.
            let between = |other: &&Call| other.name == "openat" || call.name == "mkdir" && other.name == "mkdir";
            let mut next = calls[number + 1..]
                .iter()
                .filter(|other| other.thread == call.thread)
                .skip_while(between)
                .take_while(|call| call.name == "fsync" || call.name == "openat");
            let synced = next.any(|call| call.name == "fsync" && path(call, 0) == directory);
            assert!(synced, "{}: {call}\nis not followed by a sync of {directory}", case.title());
        }
        if case.args[0] == "create" {
            let at = |what: fn(&Call) -> bool| calls.iter().rposition(what).unwrap();
            let copied = at(|call| call.line.contains(".builds-copy~"));
            let all = calls.iter().position(|call| call.name == "syncfs").unwrap();
            let complete = calls.iter().position(|call| call.line.contains(r#"\"state\": \"complete\""#)).unwrap();
            let seen = at(|call| call.name == "rename" && call.line.contains("/vassal.ini\")"));
            assert!(copied < all && all < complete && complete < seen, "{copied} {all} {complete} {seen}");
        }
    }
}

/// Whether others see something new after a call. A file of the source counts only once the manifest is complete, and of a
/// file that an archive links either name will do.
fn publishes(call: &Call) -> bool {
    let renames = call.name.starts_with("rename")
        && ![".builds-copy~", ".builds-share~"].iter().any(|name| call.line.contains(name));
    let unlinks = call.name == "unlink"
        && ["vassal.ini", "zerg.ini", "zerg-2.ini", "canary.ini"].iter().any(|name| path(call, 0).ends_with(name));
    renames || unlinks || call.name == "mkdir"
}

fn path(call: &Call, number: usize) -> String {
    paths(&call.line)[number].clone()
}
