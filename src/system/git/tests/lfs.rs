use std::fs;
use std::path::{Path, PathBuf};

use super::super::super::tree::scratch::Scratch;
use super::super::{find, tracked};
use super::{record, repository, user, with_submodule};

pub const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

fn pointers(source: &Path) -> Vec<PathBuf> {
    tracked(source).unwrap().unwrap().pointers
}

/// A repository with two pointers and a file that Git LFS has fetched.
fn with_pointers(place: &Scratch) -> PathBuf {
    let repository = repository(place);
    place.write("repository/site/a.bin", POINTER);
    place.write("repository/site/app/b.bin", POINTER);
    place.write("repository/site/fetched.bin", "content");
    place.write("repository/site/large.bin", POINTER.repeat(20));
    place.write("repository/site/about.txt", POINTER);
    record(&repository);
    repository
}

const BOTH: [&str; 2] = ["a.bin", "app/b.bin"];

#[test]
fn pointers_are_found_wherever_their_attribute_stands() {
    let place = Scratch::new();
    let repository = with_pointers(&place);
    let site = repository.join("site");
    assert_eq!(pointers(&site), Vec::<PathBuf>::new(), "no attribute gives them to Git LFS");
    for attributes in ["site/.gitattributes", ".gitattributes", ".git/info/attributes"] {
        place.write(Path::new("repository").join(attributes), "*.bin filter=lfs diff=lfs merge=lfs -text\n");
        user(&repository, &["add", "--all"]);
        assert_eq!(pointers(&site), BOTH.map(Path::new), "{attributes}");
        if attributes == ".git/info/attributes" {
            user(&repository, &["commit", "--quiet", "--allow-empty", "--message=m"]);
            user(&repository, &["worktree", "add", "--quiet", "../linked"]);
            assert_eq!(pointers(&place.join("linked/site")), BOTH.map(Path::new), "in a linked work tree");
        }
        fs::remove_file(repository.join(attributes)).unwrap();
    }
    user(&repository, &["add", "--all"]);
    place.write("repository/site/.gitattributes", "*.bin text\n");
    user(&repository, &["add", "--all"]);
    assert_eq!(pointers(&site), Vec::<PathBuf>::new());
}

#[test]
fn pointers_in_submodules_are_found() {
    let place = Scratch::new();
    let repository = repository(&place);
    with_submodule(&place, &repository);
    place.write("repository/site/vendored/c.bin", POINTER);
    place.write("repository/site/vendored/.gitattributes", "*.bin filter=lfs\n");
    record(&repository.join("site/vendored"));
    record(&repository);
    assert_eq!(pointers(&repository.join("site")), [Path::new("vendored/c.bin")]);
}

#[test]
fn pointers_of_a_commit_are_found_once_it_is_exported() {
    let place = Scratch::new();
    let repository = with_pointers(&place);
    let exported = |source: &Path, target: &str| {
        let commit = find(source, "HEAD").unwrap().unwrap();
        commit.export(&commit.files().unwrap().files, &place.join(target), &place.join("private")).unwrap()
    };
    assert_eq!(exported(&repository, "without"), Vec::<PathBuf>::new());
    place.write("repository/.gitattributes", "*.bin filter=lfs\n");
    record(&repository);
    fs::remove_file(repository.join(".gitattributes")).unwrap();
    let found = exported(&repository, "all");
    assert!(found.contains(&"site/app/b.bin".into()) && !found.contains(&"site/fetched.bin".into()), "{found:?}");
    let found = exported(&repository.join("site"), "site");
    assert!(found.contains(&"app/b.bin".into()) && !found.contains(&"fetched.bin".into()), "{found:?}");

    // As Git LFS is set up, but for where the content is.
    user(&repository, &["config", "filter.lfs.smudge", "cat >/dev/null; echo content"]);
    user(&repository, &["config", "filter.lfs.required", "true"]);
    let found = exported(&repository, "filtered");
    assert!(!found.contains(&"site/a.bin".into()), "{found:?}");
    assert_eq!(fs::read_to_string(place.join("filtered/site/a.bin")).unwrap(), "content\n");
}
