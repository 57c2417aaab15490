//! From nothing to a swapped site.

use crate::site::Site;

#[test]
fn the_main_job() {
    let site = Site::up("plain", "");
    assert!(site.live("/").1.contains("Nothing is live yet"));
    let said = site.ok(&["init"]);
    assert!(said.contains("build a is live"), "{said}");
    assert_eq!(site.names(), ("a".into(), "b".into()));
    assert!(site.live("/").1.contains(r#""build": "a""#), "{:?}", site.live("/"));
    assert!(site.staged("/").1.contains(r#""build": "b""#));
    site.ok(&["swap-live"]);
    assert_eq!(site.names(), ("b".into(), "a".into()));
    assert!(site.live("/").1.contains(r#""build": "b""#));
}

#[test]
fn first_builds_that_do_badly_are_told_to_be_made_anew() {
    let site = Site::up("plain", "\n[warmup]\nexpect = 204\n");
    let error = site.fails(5, &["init"]);
    assert!(error.contains("expected 204") && error.contains("builds rm a, builds rm b, builds init"), "{error}");
    site.configure("");
    for command in [&["rm", "a"][..], &["rm", "b"], &["init"]] {
        site.ok(command);
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));
    // A build that serves is not to be removed.
    site.configure("\n[warmup]\nexpect = 204\n");
    site.ok(&["restart", "live"]);
    let error = site.fails(5, &["init"]);
    assert!(!error.contains("builds rm"), "{error}");
}
