//! Packages that a create has ready for the next.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::site::Site;

/// The directory of this name below another.
fn find(below: &Path, name: &str) -> Option<PathBuf> {
    let mut walk = WalkDir::new(below).into_iter().map(|entry| entry.unwrap());
    walk.find(|entry| entry.file_name() == name).map(|entry| entry.into_path())
}

fn inode(path: Option<PathBuf>) -> Option<u64> {
    path.map(|path| fs::metadata(path).unwrap().ino())
}

#[test]
fn the_next_build_takes_what_was_cloned_while_commands_ran() {
    let site = Site::up("demo", "");
    let spare = |kind: &str| inode(find(&site.root().join("deps/store").join(kind), "spare"));
    let packages = |build: &str| inode(find(&site.build(build), "site-packages"));
    let modules = |build: &str| inode(find(&site.build(build), "node_modules"));
    site.ok(&["create", "a"]);
    let ready = (spare("python"), spare("node"));
    assert!(ready.0.is_some() && ready.1.is_some());
    site.ok(&["create", "b"]);
    assert_eq!((packages("b"), modules("b")), ready);
    assert!(spare("python").is_some_and(|other| Some(other) != ready.0), "there is another");

    site.ok(&["create", "c", "--fresh"]);
    assert!(packages("c") != packages("b"));
    for kind in ["python", "node"] {
        fs::remove_dir_all(find(&site.root().join("deps/store").join(kind), "spare").unwrap()).unwrap();
    }
    site.ok(&["create", "d"]);
    assert_eq!(site.run(&["run", "d", "--", "python", "-c", "import django"]).code, 0);
    assert!(spare("python").is_some());
}

#[test]
fn nothing_is_prepared_where_no_command_takes_the_time() {
    let site = Site::up("plain", "");
    site.write("requirements.txt", "asgiref\n");
    site.ok(&["create", "a"]);
    assert_eq!(inode(find(&site.root().join("deps/store"), "spare")), None);
}

#[test]
fn a_manifest_tells_the_size_of_packages_that_nobody_has_looked_at() {
    let site = Site::up("demo", "");
    for build in ["a", "b"] {
        let told = site.json(&["create", build])["manifest"]["bytes"].as_u64().unwrap();
        let entries = WalkDir::new(site.build(build)).into_iter().map(|entry| entry.unwrap());
        let run = site.build(build).join("run");
        let files = entries.filter(|entry| !entry.file_type().is_dir() && !entry.path().starts_with(&run));
        let there: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
        // But for what comes after the steps: the last manifest. The record for verify and what the vassal has are in run/.
        assert!(there.abs_diff(told) < 20_000 && told > 1_000_000, "{build}: {told} and {there}");
    }
}
