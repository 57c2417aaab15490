use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::scratch::{Scratch, mode, rerun_without_root};
use super::{all, assert_same, copy, copy_all};

/// Enough for several threads: 700 files in one directory, 400 in forty, each of 7 bytes, and two large ones.
fn many(place: &Scratch) -> PathBuf {
    for n in 0..700 {
        place.write(format!("src/flat/{n}"), "7 bytes");
    }
    for n in 0..400 {
        mode(place.write(format!("src/deep/{}/{}/{n}", n % 5, n % 40), "7 bytes"), 0o666);
    }
    for name in ["large", "deep/3/large"] {
        place.write(format!("src/{name}"), vec![b'l'; 1 << 20]);
    }
    symlink("large", place.join("src/flat/link")).unwrap();
    place.join("src")
}

#[test]
fn many_files_are_copied_as_few_are() {
    let place = Scratch::new();
    let (source, target) = (many(&place), place.join("target"));
    let told = AtomicU64::new(0);
    let progress = |bytes| _ = told.fetch_add(bytes, Ordering::Relaxed);

    let copied = copy(&source, &all(&source), &target, &progress).unwrap();
    assert_same(&source, &target);
    assert_eq!((copied.files, copied.changed, copied.bytes), (1103, 1103 + 47, 1100 * 7 + (2 << 20)));
    assert_eq!((copied.written + copied.shared, told.into_inner()), (copied.bytes, copied.bytes));

    let again = copy_all(&source, &target).unwrap();
    assert_eq!((again.files, again.bytes), (copied.files, copied.bytes));
    assert_eq!((again.changed, again.written, again.shared), (0, 0, 0));
}

#[test]
fn an_error_among_many_files_is_told_and_leaves_no_half_file() {
    if rerun_without_root(module_path!(), "an_error_among_many_files_is_told_and_leaves_no_half_file") {
        return;
    }
    let place = Scratch::new();
    let source = many(&place);
    for name in ["flat/600", "deep/4/39/399"] {
        let (closed, target) = (source.join(name), place.join(name.replace('/', " ")));
        mode(&closed, 0o200);
        assert_eq!(copy_all(&source, &target).unwrap_err().path, closed);
        let half = |path: &&Path| path.to_string_lossy().contains(".builds-copy~");
        assert_eq!(all(&target).iter().find(half), None);
        mode(&closed, 0o644);
        copy_all(&source, &target).unwrap();
        assert_same(&source, &target);
    }
}
