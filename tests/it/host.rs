//! Behind the host's own nginx, which the deploy user may neither test nor reload.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::site::{Site, wait_for};

#[test]
fn a_reload_by_root_is_enough_for_all_later_swaps() {
    let config = "\n[nginx]\ntest = [\"false\"]\nreload = [\"false\"]\npid_file = \"PID\"\n";
    let mut site = Site::new("plain", "");
    let pid_file = site.dir.join("host.pid");
    site.configure(&config.replace("PID", &pid_file.display().to_string()));
    site.start();
    site.ok(&["init"]);

    // From here on it is somebody else's nginx, and nobody knows what it has loaded: the names are younger.
    fs::rename(site.root().join("run/nginx.pid"), &pid_file).unwrap();
    fs::remove_file(site.root().join("run/nginx.loaded")).unwrap();
    let links = ["_live", "_stage"].map(|link| site.root().join("builds").join(link));
    assert!(Command::new("touch").arg("-h").args(links).status().unwrap().success());
    let before = site.names();
    let said = site.fails(6, &["swap-live"]);
    assert!(said.contains("taken back: nginx refuses its configuration"), "{said}");
    assert_eq!(site.names(), before);

    let master = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    wait_for("a swap after a reload", || {
        kill(Pid::from_raw(master), Signal::SIGHUP).unwrap();
        site.run(&["swap-live"]).code == 0
    });
    site.ok(&["swap-live"]);
    assert_eq!(site.names(), before);
}
