use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::super::scratch::Scratch;
use super::super::{Excludes, Selection, everything, listed};

fn names(selection: &Selection) -> Vec<&str> {
    selection.iter().map(|path| path.to_str().unwrap()).collect()
}

fn list(files: &[&str]) -> Result<Selection, super::TreeError> {
    let files = files.iter().map(PathBuf::from);
    listed(Path::new("/"), files, &Excludes::default(), &[])
}

#[test]
fn everything_but_the_excludes_and_what_is_never_copied() {
    let place = Scratch::new();
    for name in [
        "src/a/x.py",
        "src/a/x.pyc",
        "src/a-b",
        "src/node_modules/m/i.js",
        "src/deploy/builds/a/f",
        "src/a/tests/b/t.py",
    ] {
        place.write(name, "");
    }
    place.write("src/deployed", "");
    place.write("elsewhere/file", "");
    symlink("../elsewhere", place.join("src/link")).unwrap();
    symlink("src", place.join("by another name")).unwrap();
    let exclude = Excludes::of_lines("*.pyc\nnode_modules/\n/a/tests\n").unwrap();
    let never = [place.join("src/deploy"), place.join("not there"), place.to_owned()];

    let expected = ["a", "a-b", "a/x.py", "deployed", "link"];
    let selection = everything(&place.join("src"), &exclude, &never).unwrap();
    assert_eq!(names(&selection), expected);
    let selection = everything(&place.join("by another name"), &exclude, &never).unwrap();
    assert_eq!(names(&selection), expected);

    let files =
        ["a-b", "a/x.py", "a/x.pyc", "deployed", "link", "node_modules/m/i.js", "deploy/builds/a/f", "a/tests/b/t.py"];
    let selection = listed(&place.join("src"), files.map(PathBuf::from), &exclude, &never).unwrap();
    assert_eq!(names(&selection), expected);
}

#[test]
fn a_source_that_is_never_copied_is_refused() {
    let place = Scratch::new();
    let source = place.directory("src");
    let never = [place.join("src/../src")];
    assert!(everything(&source, &Excludes::default(), &never).is_err());
    assert!(listed(&source, [], &Excludes::default(), &never).is_err());
}

#[test]
fn a_list_gets_the_directories_above_its_files() {
    let selection = list(&["b/c/d", "./b//e", ".", "a", "b/c/d"]).unwrap();
    assert_eq!(names(&selection), ["a", "b", "b/c", "b/c/d", "b/e"]);
    assert_eq!(selection.iter().count(), 5);
    assert!(selection.contains(Path::new("b/c")) && !selection.contains(Path::new("c")));
}

#[test]
fn a_path_that_leads_out_of_the_tree_is_refused() {
    for path in ["/etc/passwd", "../x", "a/../../x", ".."] {
        let failed = list(&["fine", path]).unwrap_err();
        assert_eq!(failed.path, Path::new(path));
        let bytes = [b"fine\0", path.as_bytes(), b"\0"].concat();
        assert_eq!(Selection::from_bytes(&bytes).unwrap_err().path, Path::new(path));
    }
}

#[test]
fn a_kept_selection_is_the_same() {
    let odd = OsString::from_vec(b"dir/line\nbreak \xff".to_vec());
    let selection = listed(Path::new("/"), [odd.into(), "a".into()], &Excludes::default(), &[]).unwrap();
    assert_eq!(Selection::from_bytes(&selection.to_bytes()).unwrap(), selection);
    assert_eq!(selection.to_bytes(), b"a\0dir\0dir/line\nbreak \xff\0");
    assert!(Selection::from_bytes(b"").unwrap().iter().next().is_none());
}

#[test]
fn a_kept_selection_that_was_cut_short_is_refused() {
    assert_eq!(Selection::from_bytes(b"a\0dir/fi").unwrap_err().path, Path::new("dir/fi"));
}
