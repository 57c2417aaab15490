//! The end of a build: `rm` and `archive`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::helpers::{GATE, Gate, listing, shell};
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

/// A site with the archived build c, the live build d, and a module in both that nobody may write, in two files.
fn archived() -> (Site, serde_json::Value) {
    let site = Site::ready("plain", "");
    site.write("same.txt", "the same\n");
    site.write("other.txt", "old\n");
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    site.write("other.txt", "new\n");
    site.ok(&["create", "d"]);
    for build in ["c", "d"] {
        site.write(&format!("deploy/builds/{build}/sealed.py"), "nobody writes it\n");
        let path = site.build(build).join("sealed.py");
        shell(Command::new("touch").args(["-d", "2020-02-02"]).arg(&path));
        shell(Command::new("chmod").arg("444").arg(path));
    }
    site.ok(&["stage", "d"]);
    site.ok(&["swap-live"]);
    let said = site.json(&["archive", "c"]);
    (site, said)
}

#[test]
fn an_archive_shares_with_its_basis_what_nobody_may_write() {
    let (site, said) = archived();
    let live = inodes(&site, "d");
    assert_eq!((&said["changed"], &said["basis"]), (&true.into(), &"d".into()), "{said}");
    assert_eq!((said["files"].as_u64(), said["bytes"].as_u64()), (Some(1), Some(17)), "{said}");
    let archived = inodes(&site, "c");
    let same = |path: &str| archived[&PathBuf::from(path)].1 == live[&PathBuf::from(path)].1;
    assert!(same("sealed.py") && !same("same.txt") && !same("wsgi.py") && !same("build.json"));
    assert_eq!(site.read("deploy/builds/c/other.txt"), "old\n");
    assert_eq!(site.status("c")["state"], "archived");
    let manifest: serde_json::Value = serde_json::from_str(&site.read("deploy/builds/c/build.json")).unwrap();
    assert_eq!((&manifest["state"], &manifest["basis"]), (&"archived".into(), &"d".into()));
    assert!(!site.build("c").join("vassal.ini").exists() && !site.build("c").join("zerg.ini").exists());

    let text = site.ok(&["archive", "c"]);
    assert_eq!(text, "build c is archived: there was nothing to share with d\n");
    let again = site.json(&["archive", "c"]);
    assert_eq!((&again["changed"], &again["files"]), (&false.into(), &0.into()), "{again}");
    for args in [&["swap-live", "c"][..], &["warmup", "c"], &["run", "c", "--", "true"]] {
        let said = site.fails(3, args);
        assert!(said.contains("build c is archived") && said.contains("builds activate c"), "{args:?}: {said}");
    }
    assert!(site.fails(3, &["create", "c"]).contains("build c exists"));

    site.ok(&["rm", "c"]);
    assert_eq!(inodes(&site, "d"), live, "nor has it changed when its twin goes");
    assert_eq!(site.live("/").0, 200);
}

#[test]
fn an_archived_build_comes_back_and_what_is_written_to_it_reaches_nobody() {
    let (site, _) = archived();
    // As archives of earlier versions were.
    for file in ["wsgi.py", "same.txt"] {
        shell(Command::new("ln").arg("-f").arg(site.build("d").join(file)).arg(site.build("c").join(file)));
    }
    let live = inodes(&site, "d");
    assert_eq!(site.json(&["activate", "c"])["changed"], true);
    assert_eq!(site.status("c")["state"], "ready");
    for (path, (_, inode)) in inodes(&site, "c") {
        let data = fs::symlink_metadata(site.build("c").join(&path)).unwrap();
        if data.is_file() && data.mode() & 0o222 != 0 {
            assert!(data.nlink() == 1 && live.get(&path).is_none_or(|(_, other)| *other != inode), "{path:?}");
            let text = path.extension().is_some_and(|end| end == "py" || end == "txt");
            let mut opened =
                text.then(|| fs::OpenOptions::new().append(true).open(site.build("c").join(&path)).unwrap());
            opened.iter_mut().for_each(|file| file.write_all(b"#").unwrap());
        }
    }
    assert_eq!(inodes(&site, "d"), live, "not a byte, mode, time or inode of the live build has changed");

    site.ok(&["archive", "c"]);
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    assert!(site.live("/").1.contains(r#""build": "c""#));
    let manifest: serde_json::Value = serde_json::from_str(&site.read("deploy/builds/c/build.json")).unwrap();
    assert_eq!((&manifest["state"], &manifest["basis"]), (&"complete".into(), &serde_json::Value::Null));
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
