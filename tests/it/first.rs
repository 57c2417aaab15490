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
