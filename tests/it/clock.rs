//! A clock that jumps.

use crate::site::Site;

#[test]
fn a_clock_that_jumps_by_years_between_commands_changes_nothing() {
    for mode in ["socket", "port"] {
        let mut site = Site::ready("plain", &format!("\n[nginx]\nupstream = \"{mode}\"\n"));
        let own = site.caller.clone();
        // Timers go by a clock that nobody sets, and a clock does not change when files were written.
        for (number, jump) in ["+3y", "-3y"].into_iter().enumerate() {
            let fake = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "faketime", "-f", jump];
            site.caller = fake.map(str::to_owned).into_iter().chain(own.clone()).collect();
            let (new, old) = [("c", "b"), ("b", "c")][number % 2];
            if site.build(new).exists() {
                site.ok(&["rm", new]);
            }
            site.ok(&["create", new]);
            site.ok(&["stage", new]);
            for live in [new, "a"] {
                site.ok(&["swap-live"]);
                assert!(site.live("/").1.contains(&format!(r#""build": "{live}""#)), "{mode} {jump}");
            }
            site.ok(&["deactivate", old]);
            site.ok(&["status"]);
            site.ok(&["init"]);
        }
    }
}
