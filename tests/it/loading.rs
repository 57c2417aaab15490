//! An application that does not come up.

use crate::site::Site;

#[test]
fn an_app_that_ends_its_worker_while_loading_fails_as_one_that_raises_does() {
    let site = Site::up("plain", "");
    site.write("wsgi.py", "import sys\nsys.exit('no settings for this host')\n");
    site.ok(&["create", "a"]);
    let said = site.fails(5, &["activate", "a"]);
    // Not "within 60 s": uWSGI would try again for as long.
    assert!(said.contains("build a is unhealthy: the application does not load"), "{said}");
    assert!(said.contains("no settings for this host"), "{said}");
    assert_eq!(site.status("a")["state"], "listening");
}
