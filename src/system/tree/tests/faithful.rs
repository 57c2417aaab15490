use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use super::super::attributes::set_mtime;
use super::super::scratch::{NOBODY, Scratch, mode, rerun_without_root};
use super::super::{Excludes, listed};
use super::{all, assert_same, copy, copy_all, seen};

/// A source with everything in it that a copy could get wrong.
fn nasty(place: &Scratch) -> PathBuf {
    let raw = |name: &'static [u8]| Path::new("src").join(OsStr::from_bytes(name));
    let source = place.directory("src");
    place.write("src/manage.py", "#!/usr/bin/env python3\n");
    mode(source.join("manage.py"), 0o755);
    place.write("src/app/deep/er/models.py", vec![7; 300_000]);
    place.write("src/empty", "");
    place.write(raw(b"line\nbreak"), "a");
    place.write(raw(b"not utf-8 \xff\xfe"), "b");
    place.write("src/100%s $HOME `x` *?", "c");
    place.write("src/-rf", "d");
    place.write("src/ äö ", "e");
    place.directory("src/empty dir/in/another");
    place.write("src/setuid", "f");
    mode(source.join("setuid"), 0o4751);
    place.write("src/setgid", "f");
    mode(source.join("setgid"), 0o2755);
    place.directory("src/shared");
    place.write("src/shared/file", "g");
    mode(place.write("src/shared/by all", "g"), 0o666);
    mode(source.join("shared"), 0o2775);
    place.directory("src/sticky");
    mode(source.join("sticky"), 0o1777);
    place.write("src/closed/inside", "h");
    mode(source.join("closed"), 0o500);
    symlink("manage.py", source.join("link")).unwrap();
    symlink("nowhere/at all", source.join("dangling")).unwrap();
    symlink("loop", source.join("loop")).unwrap();
    symlink("..", source.join("app/up")).unwrap();
    symlink("app", source.join("link to dir")).unwrap();
    symlink(OsStr::from_bytes(b"\xfd\n"), source.join("link to raw")).unwrap();
    mkfifo(&source.join("fifo"), Mode::from_bits_truncate(0o640)).unwrap();
    fs::hard_link(source.join("empty"), source.join("empty's twin")).unwrap();
    let mut sparse = File::create(source.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(2_000_000)).unwrap();
    sparse.write_all(b"end").unwrap();
    sparse.set_len(3_000_000).unwrap();
    if geteuid().is_root() {
        place.write("src/0000", "i");
        mode(source.join("0000"), 0);
        place.write("src/theirs", "j");
        lchown(source.join("theirs"), Some(NOBODY), Some(1)).unwrap();
        mode(source.join("theirs"), 0o6755);
        symlink("theirs", source.join("their link")).unwrap();
        lchown(source.join("their link"), Some(NOBODY), Some(2)).unwrap();
        lchown(source.join("shared"), Some(1), Some(NOBODY)).unwrap();
        mode(source.join("shared"), 0o2775);
    }
    // Backwards, so that no directory's time is moved by what it holds.
    for (n, path) in (0i64..).zip(all(&source).iter().rev()) {
        set_mtime(&source.join(path), 1_500_000_000 + n * 1000, 123_456_789 + n).unwrap();
    }
    mode(&source, 0o751);
    set_mtime(&source, 999_999_999, 1).unwrap();
    source
}

#[test]
fn a_copy_is_what_rsync_makes() {
    let place = Scratch::new();
    let source = nasty(&place);
    let (ours, rsyncs) = (place.join("ours"), place.join("rsync's"));

    let copied = copy_all(&source, &ours).unwrap();
    let mut rsync = Command::new("rsync");
    let done = rsync.arg("-a").arg(source.join("")).arg(&rsyncs).status();
    assert!(done.expect("this test compares with rsync").success());

    assert_same(&ours, &rsyncs);
    assert_same(&ours, &source);
    let of_type = |mask: u32| seen(&source).values().filter(|s| s.mode & 0o170_000 == mask).count();
    let directories = of_type(0o040_000);
    assert_eq!(copied.files, seen(&source).len() - directories);
    assert_eq!(copied.changed, seen(&source).len() - 1);
    assert!(copied.bytes > 3_300_000, "{copied:?}");
    assert_eq!(copied.skipped, Vec::<PathBuf>::new());
}

#[test]
fn without_root_read_only_directories_are_copied_too() {
    if rerun_without_root(module_path!(), "without_root_read_only_directories_are_copied_too") {
        return;
    }
    let place = Scratch::new();
    let source = place.directory("src");
    let target = place.join("target");
    place.write("src/a/b/file", "1");
    mode(source.join("a/b"), 0o555);
    mode(source.join("a"), 0o555);
    mode(&source, 0o555);

    let copied = copy_all(&source, &target).unwrap();
    assert_eq!((copied.files, copied.changed), (1, 3));
    mode(&source, 0o755);
    assert_same(&source, &target);

    // Now the target's directories are read-only as well, and a file in them has to be replaced.
    fs::write(source.join("a/b/file"), "22").unwrap();
    assert_eq!(copy_all(&source, &target).unwrap().changed, 1);
    assert_same(&source, &target);
}

#[test]
fn the_target_stays_writable_for_its_owner() {
    let place = Scratch::new();
    let source = place.directory("src");
    mode(&source, 0o550);
    copy_all(&source, &place.join("target")).unwrap();
    let made = fs::metadata(place.join("target")).unwrap();
    assert_eq!(made.mode() & 0o7777, 0o750);
}

#[test]
fn sockets_are_left_out_and_named() {
    let place = Scratch::new();
    let source = place.directory("src/run");
    let _socket = UnixListener::bind(source.join("socket")).unwrap();
    let copied = copy_all(&place.join("src"), &place.join("target")).unwrap();
    assert_eq!(copied.skipped, [Path::new("run/socket")]);
    assert_eq!(copied.files, 0);
    assert!(!place.join("target/run/socket").exists());
}

#[test]
fn a_file_that_vanishes_is_an_error_that_names_it() {
    let place = Scratch::new();
    let file = place.write("src/file", "1");
    let selection = all(&place.join("src"));
    fs::remove_file(&file).unwrap();
    let failed = copy(&place.join("src"), &selection, &place.join("target"), &|_| {}).unwrap_err();
    assert_eq!(failed.path, file);
    assert_eq!(failed.source.to_string(), "it has vanished since it was listed");
}

#[test]
fn a_file_that_is_never_twice_the_same_is_an_error() {
    let place = Scratch::new();
    // The kernel gives this file's size as 0, as if all its content had come after it was looked at.
    let selection = listed(Path::new("/proc/self"), ["limits".into()], &Excludes::default(), &[]).unwrap();
    let failed = copy(Path::new("/proc/self"), &selection, &place.join("target"), &|_| {}).unwrap_err();
    assert_eq!(failed.path, Path::new("/proc/self/limits"));
    assert_eq!(failed.source.to_string(), "it changes while it is being copied");
    assert_eq!(fs::read_dir(place.join("target")).unwrap().count(), 0);
}

#[test]
fn a_file_that_cannot_be_read_leaves_nothing_behind() {
    let place = Scratch::new();
    // It can be opened, but nothing is mapped at its beginning.
    let selection = listed(Path::new("/proc/self"), ["mem".into()], &Excludes::default(), &[]).unwrap();
    let failed = copy(Path::new("/proc/self"), &selection, &place.join("target"), &|_| {}).unwrap_err();
    assert_eq!((failed.action, failed.path.as_path()), ("copy", Path::new("/proc/self/mem")));
    assert_eq!(failed.source.raw_os_error(), Some(Errno::EIO as i32));
    assert_eq!(fs::read_dir(place.join("target")).unwrap().count(), 0);
}

#[test]
fn a_link_where_the_selection_expects_a_directory_is_not_followed() {
    let place = Scratch::new();
    place.write("elsewhere/file", "secret");
    let source = place.directory("src");
    symlink("../elsewhere", source.join("dir")).unwrap();
    let selection = listed(&source, ["dir/file".into()], &Excludes::default(), &[]).unwrap();
    let failed = copy(&source, &selection, &place.join("target"), &|_| {}).unwrap_err();
    assert_eq!(failed.path, source.join("dir/file"));
    assert!(failed.source.to_string().contains("is not one"), "{failed:?}");
}
