//! The end of a build: `rm` and `archive`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use crate::helpers::{GATE, Gate, listing};
use crate::site::Site;

#[test]
fn rm_leaves_nothing_of_a_build_but_its_logs_and_for_some_time_its_static_files() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    site.write("deploy/assets/static/c/site.css", "");
    site.write("deploy/assets/media/upload.png", "a user's");
    assert_eq!(site.ok(&["rm", "c"]), "build c is removed\n");
    let left = listing(&site.root(), &["logs", "builds/a", "builds/b", "run", "conf", "deps"]);
    let left: Vec<_> = left.keys().map(|path| path.to_str().unwrap()).collect();
    let expected = [
        "assets",
        "assets/media",
        "assets/media/upload.png",
        "assets/removed",
        "assets/removed/static",
        "assets/removed/static/c",
        "assets/removed/static/c/site.css",
        "assets/static",
        "assets/static/a",
        "assets/static/b",
        "builds",
        "builds/_live",
        "builds/_stage",
        "history.jsonl",
    ];
    assert_eq!(left, expected);
    assert!(TcpStream::connect(("127.0.0.1", site.ports.base + 20)).is_err());
    assert_eq!(site.ok(&["find-free"]), "c\n");
    site.ok(&["create", "c"]);
}

#[test]
fn pages_of_a_removed_build_find_their_files_for_static_days() {
    let site = Site::up("plain", "");
    let old = "/static/a/css/site.0f1e2d3c4b5a.css";
    for (content, file) in [("old", "css/site.0f1e2d3c4b5a.css"), ("new", "css/site.5a4b3c2d1e0f.css")] {
        site.ok(&["create", "a"]);
        site.write(&format!("deploy/assets/static/a/{file}"), content);
        // A file of the build itself comes first.
        site.write("deploy/assets/static/a/plain.css", content);
        assert_eq!(site.live("/static/a/plain.css").1, content);
        site.ok(&["rm", "a"]);
        assert_eq!(site.live(old), (200, "old".into()));
        assert_eq!(site.live(&format!("/static/a/{file}")), (200, content.into()));
    }
    site.ok(&["create", "b"]);
    site.ok(&["rm", "b"]);
    assert_eq!(site.live(old).0, 200, "not yet");
    site.configure("\n[keep]\nstatic_days = 0\n");
    site.ok(&["create", "b"]);
    site.ok(&["rm", "b"]);
    assert_eq!(site.live(old).0, 404);
    assert!(!site.root().join("assets/removed/static").exists());
}

#[test]
fn the_live_and_the_staged_build_are_never_removed_or_archived() {
    let site = Site::ready("plain", "");
    let before = listing(&site.root().join("builds"), &["a/run", "b/run"]);
    for (verb, name, role) in
        [("rm", "a", "live"), ("rm", "b", "staged"), ("archive", "a", "live"), ("archive", "b", "staged")]
    {
        let said = site.fails(3, &[verb, name]);
        assert!(said.contains(&format!("cannot {verb} {name}: it is {role}")), "{said}");
        assert!(said.contains("next: builds s"), "swap-live or stage: {said}");
    }
    site.fails(3, &["archive", "live"]);
    assert_eq!(listing(&site.root().join("builds"), &["a/run", "b/run"]), before);
    assert_eq!(site.live("/").0, 200);
}

#[test]
fn rm_takes_an_incomplete_build() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = gate.create("a");
    create.kill().unwrap();
    create.wait().unwrap();
    site.ok(&["rm", "a"]);
    assert!(!site.build("a").exists() && !site.root().join("assets/static/a").exists());
    assert_eq!(site.ok(&["find-free"]), "a\n");
    // As a kill right after the directory was made leaves it.
    fs::create_dir_all(site.build("b").join("run")).unwrap();
    site.ok(&["rm", "b"]);
    assert!(!site.build("b").exists());
}

#[test]
fn rm_goes_on_where_a_kill_stopped_it() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    site.ok(&["create", "c"]);
    site.ok(&["stop", "c"]);
    let doomed = site.root().join("builds/.removing-c");
    fs::rename(site.build("c"), &doomed).unwrap();
    assert_eq!(site.ok(&["list"]).lines().count(), 1, "out of sight");
    site.ok(&["rm", "c"]);
    assert!(!doomed.exists() && !site.root().join("assets/static/c").exists());
    assert!(site.fails(2, &["rm", "c"]).contains("there is no build c"));

    // Killed later still, with only the static files left.
    site.write("deploy/assets/static/d/site.css", "");
    site.ok(&["rm", "d"]);
    assert!(!site.root().join("assets/static/d").exists());

    // A new build of the name does not make the old one's remains its own.
    fs::create_dir(&doomed).unwrap();
    site.ok(&["create", "c"]);
    site.ok(&["rm", "c"]);
    assert!(!doomed.exists() && !site.build("c").exists());
}

/// What a hard link could change of each file of a build, and its inode.
fn inodes(site: &Site, build: &str) -> BTreeMap<PathBuf, (String, u64)> {
    let seen = listing(&site.build(build), &["run"]).into_iter();
    seen.map(|(path, seen)| {
        let inode = fs::symlink_metadata(site.build(build).join(&path)).unwrap().ino();
        (path, (seen, inode))
    })
    .collect()
}

#[test]
fn an_archive_shares_what_is_unchanged_with_its_basis() {
    let site = Site::ready("plain", "");
    site.write("same.txt", "the same\n");
    site.write("other.txt", "old\n");
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    site.write("other.txt", "new\n");
    site.ok(&["create", "d"]);
    site.ok(&["stage", "d"]);
    site.ok(&["swap-live"]);
    let live = inodes(&site, "d");

    let said = site.json(&["archive", "c"]);
    assert_eq!((&said["changed"], &said["basis"]), (&true.into(), &"d".into()), "{said}");
    assert!(said["files"].as_u64().unwrap() > 3 && said["bytes"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(inodes(&site, "d"), live, "not a byte, mode, time or inode of the live build has changed");
    let archived = inodes(&site, "c");
    let same = |path: &str| archived[&PathBuf::from(path)].1 == live[&PathBuf::from(path)].1;
    assert!(same("same.txt") && same("wsgi.py") && !same("other.txt") && !same("build.json"));
    assert_eq!(site.read("deploy/builds/c/other.txt"), "old\n");
    assert_eq!(site.status("c")["state"], "archived");
    let manifest: serde_json::Value = serde_json::from_str(&site.read("deploy/builds/c/build.json")).unwrap();
    assert_eq!((&manifest["state"], &manifest["basis"]), (&"archived".into(), &"d".into()));
    assert!(!site.build("c").join("vassal.ini").exists() && !site.build("c").join("zerg.ini").exists());

    let again = site.json(&["archive", "c"]);
    assert_eq!((&again["changed"], &again["files"]), (&false.into(), &0.into()), "{again}");
    for args in
        [&["activate", "c"][..], &["stage", "c"], &["swap-live", "c"], &["warmup", "c"], &["run", "c", "--", "true"]]
    {
        let said = site.fails(3, args);
        assert!(said.contains("build c is archived") && said.contains("builds create"), "{args:?}: {said}");
    }
    assert!(site.fails(3, &["create", "c"]).contains("build c exists"));

    site.ok(&["rm", "c"]);
    assert_eq!(inodes(&site, "d"), live, "nor has it when its twin goes");
    assert_eq!(site.live("/").0, 200);
}

#[test]
fn an_archive_takes_any_whole_build_for_its_basis_but_itself() {
    let site = Site::ready("plain", "\n[assets]\ncommands = [[\"test\", \"!\", \"-e\", \"../../broken\"]]\n");
    for name in ["c", "d"] {
        site.ok(&["create", name]);
    }
    site.write("deploy/broken", "");
    site.fails(1, &["create", "e"]);
    assert_eq!(site.json(&["archive", "c", "--basis", "stage"])["basis"], "b");
    for (basis, why) in [("d", "itself"), ("c", "archived"), ("e", "incomplete")] {
        let said = site.fails(3, &["archive", "d", "--basis", basis]);
        assert!(said.contains(&format!("build {basis} cannot be the basis")), "{why}: {said}");
    }
    assert!(site.fails(3, &["archive", "e"]).contains("build e is incomplete"));
    assert_eq!(site.status("d")["state"], "listening");
    assert_eq!(site.json(&["archive", "d", "--basis", "b"])["basis"], "b");
}

#[test]
fn rm_never_says_that_a_link_in_a_builds_place_is_removed() {
    let site = Site::new("plain", "");
    fs::create_dir_all(site.root().join("builds")).unwrap();
    fs::create_dir_all(site.root().join("assets/static/c")).unwrap();
    symlink(&site.dir, site.build("c")).unwrap();
    let error = site.fails(3, &["rm", "c"]);
    assert!(error.contains("builds/c was not made by builds"), "{error}");
    assert!(site.root().join("assets/static/c").exists() && site.dir.join("wsgi.py").exists());
}
