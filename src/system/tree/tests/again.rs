use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::super::attributes::set_mtime;
use super::super::scratch::{Scratch, mode};
use super::{all, assert_same, copy, copy_all, seen};

fn inode(path: impl AsRef<Path>) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

fn some_files(place: &Scratch) -> std::path::PathBuf {
    for name in ["a", "b", "d/e", "d/f/g", "z"] {
        place.write(Path::new("src").join(name), name);
    }
    symlink("a", place.join("src/link")).unwrap();
    mkfifo(&place.join("src/pipe"), Mode::from_bits_truncate(0o600)).unwrap();
    place.join("src")
}

#[test]
fn a_second_copy_writes_nothing() {
    let place = Scratch::new();
    let (source, target) = (some_files(&place), place.join("target"));
    let first = copy_all(&source, &target).unwrap();
    assert_eq!((first.files, first.changed), (7, 9));
    let inodes = |root| all(root).iter().map(|p| inode(root.join(p))).collect::<Vec<_>>();
    let before = inodes(&target);

    let second = copy_all(&source, &target).unwrap();
    assert_eq!((second.files, second.bytes, second.changed), (first.files, first.bytes, 0));
    assert_eq!(inodes(&target), before);
    assert_same(&source, &target);
}

#[test]
fn any_difference_makes_a_new_file() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("size", |f| {
            let modified = fs::metadata(f).unwrap();
            fs::write(f, "longer").unwrap();
            set_mtime(f, modified.mtime(), modified.mtime_nsec()).unwrap();
        }),
        ("a nanosecond", |f| set_mtime(f, 1_000_000_000, 1).unwrap()),
        ("mode", |f| mode(f, 0o600)),
        ("setuid", |f| mode(f, 0o4644)),
        ("to a link", |f| {
            fs::remove_file(f).unwrap();
            symlink("b", f).unwrap();
        }),
        ("to a fifo", |f| {
            fs::remove_file(f).unwrap();
            mkfifo(f, Mode::from_bits_truncate(0o644)).unwrap();
        }),
    ];
    for (what, change) in changes {
        let place = Scratch::new();
        let (source, target) = (some_files(&place), place.join("target"));
        mode(source.join("a"), 0o644);
        set_mtime(&source.join("a"), 1_000_000_000, 0).unwrap();
        copy_all(&source, &target).unwrap();
        // Whoever else has the old inode, such as an archived build, must not see the change.
        fs::hard_link(target.join("a"), place.join("kept")).unwrap();

        change(&source.join("a"));
        assert_eq!(copy_all(&source, &target).unwrap().changed, 1, "{what}");
        assert_same(&source, &target);
        assert_ne!(inode(target.join("a")), inode(place.join("kept")), "{what}");
        assert_eq!(fs::read(place.join("kept")).unwrap(), b"a", "{what}");
        assert_eq!(fs::metadata(place.join("kept")).unwrap().mode() & 0o7777, 0o644, "{what}");
    }
}

#[test]
fn a_link_that_points_elsewhere_is_replaced() {
    let place = Scratch::new();
    let (source, target) = (some_files(&place), place.join("target"));
    copy_all(&source, &target).unwrap();
    let modified = fs::symlink_metadata(source.join("link")).unwrap();
    fs::remove_file(source.join("link")).unwrap();
    // As long as the old one and of the same time: only its text tells them apart.
    symlink("b", source.join("link")).unwrap();
    set_mtime(&source.join("link"), modified.mtime(), modified.mtime_nsec()).unwrap();
    assert_eq!(copy_all(&source, &target).unwrap().changed, 1);
    assert_eq!(fs::read_link(target.join("link")).unwrap(), Path::new("b"));
}

#[test]
fn an_interrupted_copy_goes_on() {
    let place = Scratch::new();
    let (source, target) = (some_files(&place), place.join("target"));
    let left = AtomicUsize::new(9);
    let stop = |_| assert!(left.fetch_sub(1, Ordering::Relaxed) > 1, "interrupted");
    let interrupted = catch_unwind(AssertUnwindSafe(|| copy(&source, &all(&source), &target, &stop)));
    assert!(interrupted.is_err());
    assert!(target.join("d/e").exists() && !target.join("d/f").exists());
    let first = inode(target.join("a"));
    // What a copy that is killed while it writes leaves behind.
    fs::write(target.join(".builds-copy~"), "hal").unwrap();
    fs::write(target.join("d/.builds-copy~3"), "hal").unwrap();
    place.write("target/d/.builds-copy~2/whole", "but not its directory");

    let copied = copy_all(&source, &target).unwrap();
    assert_eq!(inode(target.join("a")), first);
    assert_eq!(copied.changed, 3, "{copied:?}");
    assert_same(&source, &target);
}

#[test]
fn the_temporary_name_may_be_a_file_of_the_source() {
    let place = Scratch::new();
    let (source, target) = (some_files(&place), place.join("target"));
    place.write("src/.builds-copy~", "theirs");
    place.write("src/d/.builds-copy~~", "theirs too");
    copy_all(&source, &target).unwrap();
    assert_same(&source, &target);
}

#[test]
fn a_path_may_change_its_type() {
    let place = Scratch::new();
    let (source, target) = (place.directory("src"), place.directory("target"));
    for root in ["src", "target"] {
        let (one, other) = if root == "src" { ("1", "2") } else { ("2", "1") };
        place.write(format!("{root}/dir and file {one}/x/y"), "below");
        place.write(format!("{root}/dir and file {other}"), "a file");
        place.write(format!("{root}/dir and link {one}/x"), "below");
        symlink("/nowhere", place.join(format!("{root}/dir and link {other}"))).unwrap();
        place.write(format!("{root}/file and link {one}"), "a file");
        symlink("/nowhere", place.join(format!("{root}/file and link {other}"))).unwrap();
    }
    copy_all(&source, &target).unwrap();
    assert_same(&source, &target);
}

#[test]
fn links_in_the_target_lead_nothing_outside() {
    let place = Scratch::new();
    let (source, target) = (place.directory("src"), place.directory("target"));
    place.write("src/dir/file", "new");
    place.write("src/file", "new");
    place.write("elsewhere/file", "old");
    symlink("../elsewhere", target.join("dir")).unwrap();
    symlink("../elsewhere/file", target.join("file")).unwrap();
    symlink("../elsewhere/file", target.join(".builds-copy~")).unwrap();
    let elsewhere = seen(&place.join("elsewhere"));

    copy_all(&source, &target).unwrap();
    assert_same(&source, &target);
    assert_eq!(seen(&place.join("elsewhere")), elsewhere);
}

#[test]
fn a_target_that_is_a_link_is_refused() {
    let place = Scratch::new();
    let source = some_files(&place);
    place.directory("live");
    symlink("live", place.join("target")).unwrap();
    // With a slash at its end the kernel would follow the link.
    for name in ["target", "target/"] {
        let failed = copy_all(&source, &place.join(name)).unwrap_err();
        assert_eq!((failed.action, failed.path), ("copy into", place.join("target")));
    }
    assert_eq!(fs::read_dir(place.join("live")).unwrap().count(), 0);
}

#[test]
fn what_else_the_target_holds_stays() {
    let place = Scratch::new();
    let (source, target) = (some_files(&place), place.join("target"));
    place.write("target/bin/python", "venv");
    place.write("target/d/f/own", "kept");
    copy_all(&source, &target).unwrap();
    assert_eq!(fs::read(target.join("bin/python")).unwrap(), b"venv");
    assert_eq!(fs::read(target.join("d/f/own")).unwrap(), b"kept");
    assert!(target.join("d/f/g").exists());
}
