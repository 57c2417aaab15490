//! What goes by itself, and what does not.

use std::fs::{self, File};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;
use serde_json::Value;

use crate::helpers::{GATE, Gate, shell};
use crate::mount::Mounted;
use crate::site::Site;

const KEEP_ONE: &str = "\n[keep]\nbuilds = 1\n";

/// Has a build be created some days ago.
fn age(site: &Site, build: &str, days: u64) {
    let path = format!("deploy/builds/{build}/build.json");
    let mut manifest: Value = serde_json::from_str(&site.read(&path)).unwrap();
    manifest["created"] = (manifest["created"].as_u64().unwrap() - 86_400 * days).into();
    site.write(&path, &manifest.to_string());
}

/// Builds with the reasons why they go, or stay.
fn reasons(document: &Value) -> Vec<String> {
    let rows = document["builds"].as_array().unwrap_or_else(|| panic!("{document}"));
    rows.iter()
        .map(|row| {
            let goes = if row["goes"] == true { "goes" } else { "stays" };
            format!("{} {goes}: {}", row["build"].as_str().unwrap(), row["reason"].as_str().unwrap())
        })
        .collect()
}

fn builds(site: &Site) -> String {
    site.ok(&["list"]).lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_oldest_go_and_it_is_told_before_why() {
    let site = Site::ready("plain", KEEP_ONE);
    for (build, days) in [("c", 1), ("d", 30), ("e", 20)] {
        site.ok(&["create", build]);
        age(&site, build, days);
    }
    site.ok(&["activate", "d"]);
    site.write("deploy/assets/static/d/site.css", "d's");
    let told = site.json(&["prune", "--explain"]);
    let all = ["d goes: 1 younger one is kept", "e goes: 1 younger one is kept", "a stays: live", "b stays: staged"];
    let with_c = [&all[..], &["c stays: the youngest, and 1 is kept"]].concat();
    assert_eq!(reasons(&told), with_c);
    assert_eq!((&told["changed"], builds(&site).as_str()), (&false.into(), "a b c d e"));
    assert!(told["builds"].as_array().unwrap().iter().all(|row| row["bytes"].as_u64() > Some(10_000)), "{told}");
    let older = site.json(&["prune", "--explain", "--older-than", "25d"]);
    assert_eq!(reasons(&older)[1..3], ["a stays: live", "b stays: staged"]);
    assert!(site.run(&["prune", "--older-than", "soon"]).err.contains("write a number and d, h, m or s"));

    let said = site.ok(&["prune"]);
    assert!(said.starts_with("removed d e: ") && said.ends_with("; 3 stay\n"), "{said}");
    assert_eq!(builds(&site), "a b c");
    assert_eq!(site.live("/static/d/site.css"), (200, "d's".into()));
    assert_eq!(site.live("/").0, 200);
    let again = site.json(&["prune"]);
    assert_eq!((&again["changed"], &again["bytes"]), (&false.into(), &0.into()), "{again}");
    assert_eq!(site.ok(&["prune"]), "nothing to remove; 3 builds stay\n");

    site.configure(&KEEP_ONE.replace("builds = 1", "static_days = 0"));
    let table = site.ok(&["prune", "--explain"]);
    assert!(
        table.contains("  static files of removed builds named d: 1 of 1 too old\n") && !table.contains("\nd "),
        "{table}"
    );
    assert_eq!(site.json(&["prune"])["changed"], true);
    assert_eq!(site.live("/static/d/site.css").0, 404);
}

#[test]
fn what_somebody_needs_stays_whatever_its_age() {
    let site = Site::ready("plain", "\n[keep]\nbuilds = 0\n");
    for build in ["c", "d", "e", "h"] {
        site.ok(&["create", build]);
        age(&site, build, 90);
    }
    site.ok(&["archive", "c"]);
    site.ok(&["find-free", "--reserve"]);
    site.write("deploy/builds/g/notes.txt", "not ours");
    site.ok(&["canary", "h", "--workers", "1"]);
    let lock = File::options().write(true).open(site.root().join("run/build-d.lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let expected = [
        "a stays: live",
        "b stays: staged",
        "c stays: archived: only builds rm c removes it",
        "d stays: a command works on it",
        "f stays: incomplete: builds create f continues it, builds rm f removes it",
        "g stays: not made by builds: look into builds/g and move it away",
        "h stays: a canary, or requests of it go to one",
    ];
    let told = reasons(&site.json(&["prune", "--explain"]));
    assert_eq!(told[0], "e goes: none is kept");
    assert_eq!(told[1..], expected);
    assert_eq!(site.json(&["prune"])["changed"], true);
    assert_eq!(reasons(&site.json(&["prune", "--explain"])), expected);
    drop(lock);
    site.ok(&["prune"]);
    assert_eq!(builds(&site), "a b c f g h");
    site.ok(&["canary", "--off"]);
    site.ok(&["mark", "h", "--bad", "too slow"]);
    assert_eq!(reasons(&site.json(&["prune"]))[0], "h goes: bad, and there is a younger good one");
}

#[test]
fn the_build_that_a_rollback_goes_to_stays() {
    let site = Site::ready("plain", "\n[keep]\nbuilds = 0\n");
    site.ok(&["create", "c"]);
    for build in ["c", "b"] {
        site.ok(&["stage", build]);
        site.ok(&["swap-live"]);
    }
    site.ok(&["stage", "a"]);
    let told = reasons(&site.json(&["prune", "--explain"]));
    assert_eq!(told, ["a stays: staged", "b stays: live", "c stays: a rollback goes to it"]);
    site.ok(&["prune"]);
    site.ok(&["rollback"]);
    assert_eq!(site.names().0, "c");
}

#[test]
fn a_create_that_was_killed_may_be_continued() {
    let site = Site::up("plain", &format!("{GATE}\n[keep]\nbuilds = 0\n"));
    let gate = Gate::new(&site);
    let mut create = gate.create("a");
    assert_eq!(reasons(&site.json(&["prune"])), ["a stays: a command works on it"]);
    create.kill().unwrap();
    create.wait().unwrap();
    site.unchanged(&["prune"]);
    gate.open();
    site.ok(&["create", "a"]);
    site.ok(&["prune"]);
    assert_eq!(builds(&site), "");
}

#[test]
fn what_a_killed_removal_has_left_goes_and_a_new_build_of_the_name_stays() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    for doomed in [".removing-c", ".removing-d"] {
        site.write(&format!("deploy/builds/{doomed}/wsgi.py"), "");
    }
    site.write("deploy/assets/static/c/site.css", "c's");
    site.write("deploy/assets/static/e/site.css", "e's");
    let told = site.json(&["prune", "--explain"]);
    assert_eq!(told["remains"], serde_json::json!(["c", "d", "e"]));
    assert_eq!(site.json(&["prune"])["changed"], true);
    for gone in ["builds/.removing-c", "builds/.removing-d", "assets/static/e"] {
        assert!(!site.root().join(gone).exists(), "{gone}");
    }
    assert_eq!(site.live("/static/c/site.css").1, "c's");
    assert_eq!(site.live("/static/e/site.css").1, "e's", "set aside");
    site.unchanged(&["prune"]);
}

#[test]
fn a_build_that_cannot_be_removed_keeps_no_other_from_going() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can make a file that root cannot remove");
    }
    let site = Site::ready("plain", "\n[keep]\nbuilds = 0\n");
    for (build, days) in [("c", 9), ("d", 8)] {
        site.ok(&["create", build]);
        age(&site, build, days);
    }
    site.write("deploy/builds/c/stuck", "");
    let chattr =
        |flag: &str, path: &str| shell(Command::new("chattr").arg(flag).arg(site.root().join("builds").join(path)));
    chattr("+i", "c/stuck");
    let said = site.fails(1, &["prune"]);
    chattr("-i", ".removing-c/stuck");
    assert!(said.contains("1 of 2 builds are not removed\n  why: c: cannot remove"), "{said}");
    assert!(said.contains("next: builds rm c, or builds prune again"), "{said}");
    assert_eq!(builds(&site), "a b");
    chattr("+i", ".removing-c/stuck");
    let said = site.fails(1, &["prune"]);
    assert!(said.contains("1 of 1 builds are not removed"), "{said}");
    chattr("-i", ".removing-c/stuck");
    assert_eq!(site.json(&["prune"])["remains"], serde_json::json!(["c"]));
    assert!(!site.root().join("builds/.removing-c").exists());
}

#[test]
fn what_is_told_to_be_freed_is_freed() {
    let Some(mut site) = Mounted::made("ext4", 128) else { return };
    site.configure("\n[keep]\nbuilds = 0\n[uwsgi]\nworkers = 1\n");
    site.write("requirements.txt", "asgiref\n");
    site.start();
    site.ok(&["create", "a"]);
    site.write("requirements.txt", "Django>=5.2,<5.3\n");
    for build in ["b", "c"] {
        site.ok(&["create", build]);
    }
    let free = || {
        shell(Command::new("sync").arg("-f").arg(site.root()));
        let told = statvfs(&site.root()).unwrap();
        told.blocks_free() * told.fragment_size()
    };
    let before = free();
    let told = site.json(&["prune"])["bytes"].as_u64().unwrap();
    let freed = free() - before;
    assert!(told.abs_diff(freed) < 400_000 && told > 20_000_000, "told {told}, freed {freed}");
    assert_eq!(fs::read_dir(site.root().join("deps/store/python")).unwrap().count(), 0);
}
