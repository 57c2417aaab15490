use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use super::super::attributes::set_mtime;
use super::super::scratch::{NOBODY, Scratch, mode, rerun, rerun_without_root};
use super::super::{Cloned, MOST, Sharing, clone};
use super::{all, assert_same};

const HOWS: [Sharing; 3] = [Sharing::Blocks, Sharing::Links, Sharing::Nothing];

/// A tree of packages, large enough for several threads: 640 read-only files of 10 bytes and four odd ones.
fn packages(place: &Scratch) -> PathBuf {
    let tree = place.directory("tree");
    for n in 0..640 {
        mode(place.write(format!("tree/{}/{}/{n}.py", n % 5, n % 40), "0123456789"), 0o444);
    }
    place.directory("tree/empty/inner");
    for (name, bits) in [("bin/python", 0o755), ("shared", 0o464), ("theirs", 0o446)] {
        mode(place.write(format!("tree/{name}"), "written"), bits);
    }
    mode(place.write("tree/bin/tool", "twelve bytes"), 0o6555);
    mode(tree.join("bin"), 0o2770);
    mode(tree.join("3/8"), 0o500);
    mode(tree.join("3"), 0o555);
    symlink("python", tree.join("bin/python3")).unwrap();
    symlink("/nowhere", tree.join("dangling")).unwrap();
    for (n, path) in (0i64..).zip(all(&tree).iter().rev()) {
        set_mtime(&tree.join(path), 1_500_000_000 + n * 1000, 123_456_789 + n).unwrap();
    }
    mode(&tree, 0o751);
    set_mtime(&tree, 999_999_999, 1).unwrap();
    tree
}

#[test]
fn a_clone_is_the_same_tree() {
    if rerun_without_root(module_path!(), "a_clone_is_the_same_tree") {
        return;
    }
    let place = Scratch::new();
    let tree = packages(&place);
    for how in HOWS {
        let to = place.join(format!("{how:?}"));
        let cloned = clone(&tree, &to, how, MOST).unwrap();
        assert_same(&tree, &to);
        assert_eq!((cloned.files, cloned.bytes), (644, 640 * 10 + 3 * 7 + 12), "{how:?}");
    }
}

#[test]
fn only_what_nobody_may_write_is_linked() {
    let place = Scratch::new();
    let tree = packages(&place);
    for how in HOWS {
        let to = place.join(format!("{how:?}"));
        let cloned = clone(&tree, &to, how, MOST).unwrap();
        let mut linked = 0;
        for path in all(&tree).iter() {
            let [one, other] = [&tree, &to].map(|root| fs::symlink_metadata(root.join(path)).unwrap());
            if one.ino() == other.ino() {
                assert!(one.is_file() && one.mode() & 0o222 == 0, "{how:?} {path:?}");
                linked += one.len();
            }
        }
        match how {
            Sharing::Links => assert_eq!((cloned.shared, linked), (640 * 10 + 12, cloned.shared)),
            Sharing::Nothing => assert_eq!((cloned.shared, linked), (0, 0)),
            // As the file system can; tests/it knows one that does, and one that does not.
            Sharing::Blocks => assert_eq!(linked, 0),
        }
    }
}

/// Linux lets nobody but its owner give a file another name, unless he may write it.
#[test]
fn a_file_that_may_not_be_linked_is_copied() {
    const TREE: &str = "BUILDS_TEST_TREE";
    let place = Scratch::new();
    let given = env::var_os(TREE).map(PathBuf::from);
    if given.is_none() && geteuid().is_root() {
        mode(&*place, 0o755);
        mode(place.write("tree/file", "root's"), 0o444);
        mode(place.join("tree"), 0o755);
        rerun(module_path!(), "a_file_that_may_not_be_linked_is_copied", |command| {
            command.uid(NOBODY).gid(NOBODY).env(TREE, place.join("tree"));
        });
        return;
    }
    let Some(tree) = given else { return };
    let cloned = clone(&tree, &place.join("to"), Sharing::Links, MOST).unwrap();
    assert_eq!(cloned, Cloned { files: 1, bytes: 6, shared: 0 });
    assert_eq!(fs::metadata(place.join("to/file")).unwrap().mode() & 0o7777, 0o444);
    assert_eq!(fs::read(place.join("to/file")).unwrap(), b"root's");
}

#[test]
fn a_clone_on_another_file_system_is_a_copy() {
    let (place, other) = (Scratch::new(), Scratch::below(Path::new("/dev/shm")));
    let tree = packages(&place);
    let cloned = clone(&tree, &other.join("to"), Sharing::Links, MOST).unwrap();
    assert_eq!((cloned.files, cloned.shared), (644, 0));
    assert_same(&tree, &other.join("to"));
}

#[test]
fn what_is_there_is_not_touched() {
    let place = Scratch::new();
    let tree = packages(&place);
    place.write("to/file", "kept");
    symlink("to", place.join("link")).unwrap();
    for to in ["to", "link", "none/to"] {
        assert_eq!(clone(&tree, &place.join(to), Sharing::Nothing, MOST).unwrap_err().path, place.join(to));
    }
    assert_eq!(fs::read_dir(place.join("to")).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_cloned_is_named() {
    let place = Scratch::new();
    let tree = packages(&place);
    assert_eq!(
        clone(&place.join("none"), &place.join("a"), Sharing::Links, MOST).unwrap_err().path,
        place.join("none")
    );
    mkfifo(&tree.join("4/4/fifo"), Mode::S_IRUSR).unwrap();
    let failed = clone(&tree, &place.join("b"), Sharing::Links, MOST).unwrap_err();
    assert_eq!((failed.action, failed.path), ("clone", tree.join("4/4/fifo")));
}
