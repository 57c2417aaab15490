use std::fs;
use std::os::unix::fs::symlink;

use super::super::scratch::{Scratch, mode};
use super::super::seal;
use super::seen;

#[test]
fn only_files_lose_the_right_to_write_and_nothing_else_changes() {
    let place = Scratch::new();
    place.write("elsewhere", "theirs");
    for (name, bits) in [("a", 0o644), ("d/e", 0o6777), ("d/f/g", 0o444), ("d/f/script", 0o755)] {
        let path = place.write(format!("tree/{name}"), "1234");
        mode(path, bits);
    }
    mode(place.join("tree/d/f"), 0o775);
    symlink("../elsewhere", place.join("tree/link")).unwrap();
    symlink("..", place.join("tree/up")).unwrap();
    let before = seen(&place);

    let sealed = seal(&place.join("tree")).unwrap();
    assert_eq!((sealed.files, sealed.bytes), (4, 16));
    assert_eq!(seal(&place.join("tree")).unwrap(), sealed);
    let mut expected = before;
    for (name, bits) in [("a", 0o444), ("d/e", 0o6555), ("d/f/g", 0o444), ("d/f/script", 0o555)] {
        expected.get_mut(&std::path::Path::new("tree").join(name)).unwrap().mode = 0o100_000 | bits;
    }
    assert_eq!(seen(&place), expected);
}

#[test]
fn what_cannot_be_sealed_is_named() {
    let place = Scratch::new();
    fs::create_dir(place.join("tree")).unwrap();
    symlink("tree", place.join("link")).unwrap();
    assert_eq!(seal(&place.join("link")).unwrap_err().path, place.join("link"));
    assert_eq!(seal(&place.join("none")).unwrap_err().path, place.join("none"));
}
