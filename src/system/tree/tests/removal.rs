use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::super::scratch::{Scratch, mode, rerun_without_root};
use super::super::{Excludes, Selection, listed, remove_all, remove_gone};
use super::{all, seen};

fn select(files: &[&str]) -> Selection {
    let files = files.iter().map(PathBuf::from);
    listed(Path::new("/"), files, &Excludes::default(), &[]).unwrap()
}

fn left(target: &Path) -> Vec<String> {
    all(target).iter().map(|p| p.to_str().unwrap().to_owned()).collect()
}

#[test]
fn only_what_is_gone_is_removed() {
    let place = Scratch::new();
    for name in ["kept", "gone", "old/a/b", "used/gone", "used/made by the build", "own"] {
        place.write(name, "");
    }
    symlink("/nowhere", place.join("link")).unwrap();
    let before = select(&["kept", "gone", "old/a/b", "used/gone", "link", "never there", "kept/file"]);
    let now = select(&["kept"]);
    assert_eq!(remove_gone(&place, &before, &now).unwrap(), 6);
    assert_eq!(left(&place), ["kept", "own", "used", "used/made by the build"]);
    assert_eq!(remove_gone(&place, &before, &now).unwrap(), 0);
}

#[test]
fn nothing_is_removed_through_a_link() {
    let place = Scratch::new();
    let target = place.directory("target");
    place.write("elsewhere/file", "");
    place.write("elsewhere/deep/file", "");
    symlink("../elsewhere", target.join("dir")).unwrap();
    symlink("target", place.join("name")).unwrap();
    let before = select(&["dir/file", "dir/deep/file"]);
    let elsewhere = seen(&place.join("elsewhere"));

    assert_eq!(remove_gone(&place.join("name"), &before, &select(&[])).unwrap(), 0);
    assert!(target.join("dir").is_symlink());
    assert_eq!(remove_gone(&target, &before, &select(&[])).unwrap(), 1);
    assert!(!target.join("dir").is_symlink());
    assert_eq!(seen(&place.join("elsewhere")), elsewhere);
}

#[test]
fn a_read_only_directory_loses_what_is_gone_and_keeps_its_mode() {
    if rerun_without_root(module_path!(), "a_read_only_directory_loses_what_is_gone_and_keeps_its_mode") {
        return;
    }
    let place = Scratch::new();
    place.write("dir/gone", "");
    place.write("dir/kept", "");
    mode(place.join("dir"), 0o555);
    let removed = remove_gone(&place, &select(&["dir/gone", "dir/kept"]), &select(&["dir/kept"]));
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(left(&place), ["dir", "dir/kept"]);
    assert_eq!(fs::metadata(place.join("dir")).unwrap().mode() & 0o7777, 0o555);
}

#[test]
fn a_tree_with_closed_directories_is_removed_whole() {
    if rerun_without_root(module_path!(), "a_tree_with_closed_directories_is_removed_whole") {
        return;
    }
    let place = Scratch::new();
    let tree = place.directory("tree");
    place.write("elsewhere/file", "kept");
    mode(place.join("elsewhere"), 0o555);
    place.write("tree/a/b/file", "");
    symlink("../../elsewhere", tree.join("a/link")).unwrap();
    mode(tree.join("a/b"), 0o000);
    mode(tree.join("a"), 0o555);
    mode(&tree, 0o500);
    remove_all(&tree).unwrap();
    assert!(!tree.exists());
    assert_eq!(fs::read(place.join("elsewhere/file")).unwrap(), b"kept");
    assert_eq!(fs::metadata(place.join("elsewhere")).unwrap().mode() & 0o777, 0o555);
}

#[test]
fn a_link_a_file_and_nothing_are_removed_too() {
    let place = Scratch::new();
    place.write("dir/file", "kept");
    symlink("dir", place.join("link")).unwrap();
    remove_all(&place.join("link/")).unwrap();
    assert_eq!(left(&place), ["dir", "dir/file"]);
    remove_all(&place.join("dir/file")).unwrap();
    assert_eq!(left(&place), ["dir"]);
    remove_all(&place.join("no/such/thing")).unwrap();
}
