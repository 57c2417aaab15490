//! Changing `nginx.upstream` of a site that serves.

use std::fs;

use crate::site::Site;

#[test]
fn a_change_of_mode_never_leaves_nginx_between_the_two() {
    let site = Site::ready("plain", "");
    for (mode, other, reloads) in [("port", "socket", true), ("socket", "port", false)] {
        site.configure(&format!("\n[nginx]\nupstream = \"{mode}\"\n"));
        // pass.conf is the operator's: until it is gone, nothing moves, and the next step is told.
        let before = site.names();
        let pass = site.root().join("conf/pass.conf");
        let next = format!("rm {}, then builds init", pass.display());
        for command in ["init", "swap-live", "doctor"] {
            let said = site.fails(1, &[command]);
            assert!(said.contains(&next), "{other} to {mode}, {command}: {said}");
        }
        assert_eq!(site.names(), before);
        assert_eq!(site.live("/").0, 200);

        fs::remove_file(pass).unwrap();
        assert_eq!(site.json(&["init"])["nginx_reloaded"], true, "{mode}");
        assert_eq!(site.live("/").0, 200, "{mode}");
        let swapped = site.json(&["swap-live"]);
        assert_eq!(swapped["nginx_reloaded"], reloads, "{mode}");
        let live = format!(r#""build": {}"#, swapped["live"]);
        assert!(site.live("/").1.contains(&live), "{mode}: {live} {:?}", site.live("/"));
        site.ok(&["doctor"]);
    }
}
