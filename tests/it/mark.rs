//! `mark`: a bad build gets no name until it is good again.

use crate::helpers::GATE;
use crate::history::changes;
use crate::site::Site;

#[test]
fn a_bad_build_is_neither_staged_nor_live_until_it_is_good() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c", "--tag", "v2"]);
    assert_eq!(site.ok(&["mark", "c", "--bad", "500\nat /cart"]), "build c is bad: 500\nat /cart\n");
    let said = site.json(&["mark", "c", "--bad", "500 at /cart"]);
    assert_eq!((&said["changed"], &said["bad"]["reason"]), (&false.into(), &"500 at /cart".into()), "{said}");
    assert!(site.ok(&["status"]).contains("  v2  bad: 500 at /cart\n"));
    assert!(site.ok(&["list"]).contains("  v2  bad: 500 at /cart\n"));
    for row in [site.status("c"), site.json(&["list"])["builds"][2].clone()] {
        assert_eq!(row["bad"]["reason"], "500 at /cart", "{row}");
    }
    for args in [&["stage", "c"][..], &["swap-live", "c"]] {
        site.run(&["activate", "c"]);
        let said = site.fails(3, args);
        let expected = "error: build c is bad\n  why: 500 at /cart\n next: builds mark c --good if it is not";
        assert!(said.starts_with(expected), "{args:?}: {said}");
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));

    assert_eq!(site.ok(&["mark", "c", "--good"]), "build c is good\n");
    assert_eq!(site.ok(&["mark", "c", "--good"]), "build c was good already\n");
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    // What has a name keeps it.
    site.ok(&["mark", "live", "--bad", "slow"]);
    assert_eq!(site.ok(&["swap-live", "c"]), "build c was live already\n");
    let marks: Vec<_> = changes(&site).into_iter().filter(|change| change["action"] == "mark").collect();
    let reasons: Vec<_> = marks.iter().map(|change| change["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["500 at /cart", "good", "slow"]);
    for args in [&["mark", "c"][..], &["mark", "c", "--good", "--bad", "x"], &["mark", "c", "--bad", ""]] {
        assert_eq!(site.run(args).code, 2, "{args:?}");
    }
}

#[test]
fn a_create_that_is_continued_makes_a_build_good() {
    let site = Site::up("plain", &GATE.replace("exec cat ../../gate", "exit 1"));
    site.fails(1, &["create", "a"]);
    site.ok(&["mark", "a", "--bad", "its create failed"]);
    assert_eq!(site.status("a")["bad"]["reason"], "its create failed");
    site.configure("");
    site.ok(&["create", "a"]);
    assert!(site.status("a")["bad"].is_null());
}
