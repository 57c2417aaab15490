//! The whole story on each file system that servers and containers have.

use crate::load::{Crowd, Load};
use crate::mount::Mounted;

fn story(site: Option<Mounted>) {
    let Some(mut site) = site else { return };
    site.start();
    site.ok(&["init"]);
    site.ok(&["create", "c", "--tag", "v2"]);
    site.ok(&["stage", "c"]);
    let load = Load::start(&[Crowd::at(site.live_port(), 2)]);
    for live in ["c", "a", "c"] {
        site.ok(&["swap-live"]);
        assert!(site.live("/").1.contains(&format!(r#""build": "{live}""#)));
    }
    site.ok(&["stage", "b"]);
    site.ok(&["archive", "a"]);
    site.ok(&["rm", "a"]);
    load.stop().assert_whole();
    assert_eq!(site.names(), ("c".into(), "b".into()));
    assert!(!site.root().join("builds/.exchange").exists(), "it knows the exchange");
}

#[test]
fn ext4() {
    story(Mounted::made("ext4", 64));
}

#[test]
fn xfs() {
    story(Mounted::made("xfs", 320));
}

#[test]
fn btrfs() {
    story(Mounted::made("btrfs", 128));
}

#[test]
fn tmpfs() {
    story(Mounted::tmpfs("size=64m"));
}

#[test]
fn overlayfs() {
    story(Mounted::overlay());
}
