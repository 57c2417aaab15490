//! Files of Git LFS whose content is not there.

use std::fs;

use crate::helpers::{commit, repository};
use crate::site::Site;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

#[test]
fn pointers_in_place_of_files_are_refused() {
    let site = Site::up("plain", "");
    repository(&site.dir);
    site.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    for number in 1..=7 {
        site.write(&format!("data/{number}.bin"), POINTER);
    }
    commit(&site.dir, "second");
    let said = site.fails(1, &["create", "a"]);
    let names = "data/1.bin, data/2.bin, data/3.bin, data/4.bin, data/5.bin and 2 more";
    assert!(said.contains(&format!("7 files of Git LFS are pointers, not the content: {names}\n")), "{said}");
    assert!(said.contains(&format!("git -C {} lfs pull", site.dir.display())), "{said}");
    assert!(!site.build("a").join("wsgi.py").exists(), "nothing was copied");
    let said = site.fails(1, &["create", "a", "--ref", "HEAD"]);
    assert!(said.contains("7 files of Git LFS are pointers") && said.contains("lfs fetch origin HEAD"), "{said}");

    for number in 2..=7 {
        site.write(&format!("data/{number}.bin"), "content");
    }
    let said = site.fails(1, &["create", "a"]);
    assert!(said.contains("1 file of Git LFS is a pointer, not the content: data/1.bin\n"), "{said}");
    site.write(".buildsignore", "/data/1.bin\n");
    site.ok(&["create", "a"]);
    assert_eq!(fs::read_to_string(site.build("a").join("data/2.bin")).unwrap(), "content");
}
