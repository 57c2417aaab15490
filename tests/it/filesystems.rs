//! The whole story on each file system that servers and containers have.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::helpers::shell;
use crate::load::{CONFIG, Crowd, Load};
use crate::mount::Mounted;
use crate::site::fixtures;

/// `of_its_own`: whether the file system may be filled without filling the host's.
fn story(site: Option<Mounted>, of_its_own: bool) {
    let Some(mut site) = site else { return };
    for file in ["wsgi.py", "assets.py"] {
        site.write(file, &fs::read_to_string(fixtures().join("load").join(file)).unwrap());
    }
    site.configure(&format!("{CONFIG}\n[uwsgi]\nworkers = 1\n"));
    site.start();
    site.ok(&["init"]);
    site.ok(&["create", "c", "--tag", "v2"]);
    site.ok(&["stage", "c"]);
    let load = Load::start(&[Crowd::at(site.live_port(), 2)]);
    for live in ["c", "a", "c"] {
        site.ok(&["swap-live"]);
        assert!(site.live("/").1.contains(&format!("<title>{live} ")));
    }
    site.ok(&["stage", "b"]);
    site.ok(&["archive", "a"]);
    site.ok(&["rm", "a"]);
    load.stop().assert_whole();
    // A disk that is full to the last byte must not keep live from going back, and must let go of what fills it.
    site.ok(&["create", "d"]);
    site.ok(&["activate", "d"]);
    if of_its_own {
        fill(&site.root().join("filler"));
    }
    site.ok(&["swap-live"]);
    site.ok(&["rm", "d"]);
    site.ok(&["swap-live"]);
    assert_eq!(site.names(), ("c".into(), "b".into()));
    assert!(!site.root().join("builds/.exchange").exists(), "it knows the exchange");
}

fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; size]).and_then(|()| file.sync_data()).is_ok() {}
    }
}

#[test]
fn ext4() {
    story(Mounted::made("ext4", 64), true);
}

#[test]
fn xfs() {
    story(Mounted::made("xfs", 320), true);
}

#[test]
fn btrfs() {
    story(Mounted::made("btrfs", 128), true);
}

#[test]
fn tmpfs() {
    story(Mounted::tmpfs("size=64m"), true);
}

#[test]
fn overlayfs() {
    story(Mounted::overlay(), false);
}

/// Where the content of a file lies on the disk.
fn blocks(file: &Path) -> Vec<String> {
    let said = Command::new("filefrag").arg("-v").arg(file).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let extents =
        said.lines().filter_map(|line| line.trim().split_once(':').filter(|(number, _)| number.parse::<u32>().is_ok()));
    extents.map(|(_, rest)| rest.split(':').nth(1).unwrap().trim().to_owned()).collect()
}

/// What a create copies on one file system takes no room there where files can share blocks; each is one of its own, still.
fn sharing(kind: &str, megabytes: u64, shares: bool) {
    let Some(mut site) = Mounted::made(kind, megabytes) else { return };
    let big = site.root().join("host/big.bin");
    fs::create_dir(big.parent().unwrap()).unwrap();
    fs::write(&big, vec![1; 40_000]).unwrap();
    site.configure("overlay = \"deploy/host\"\n[uwsgi]\nworkers = 1\n");
    site.start();
    site.ok(&["create", "a"]);
    let copy = site.build("a").join("big.bin");
    assert!(!blocks(&big).is_empty());
    assert_eq!(blocks(&big) == blocks(&copy), shares);
    fs::write(&copy, "changed").unwrap();
    assert_eq!(fs::read(&big).unwrap(), vec![1; 40_000]);
}

/// An archive shares blocks where files can, and has files of its own all the same.
fn archiving(kind: &str, megabytes: u64) {
    let Some(mut site) = Mounted::made(kind, megabytes) else { return };
    site.start();
    site.ok(&["init"]);
    site.ok(&["create", "c"]);
    let [live, own] = ["a", "c"].map(|build| site.build(build).join("big.bin"));
    for file in [&live, &own] {
        fs::write(file, vec![1; 40_000]).unwrap();
    }
    shell(Command::new("sync").arg("-f").arg(&own));
    assert_ne!(blocks(&live), blocks(&own));
    let said = site.json(&["archive", "c"]);
    assert!(said["files"].as_u64() > Some(3), "{said}");
    assert_eq!(blocks(&live), blocks(&own));
    site.unchanged(&["archive", "c"]);
    site.ok(&["activate", "c"]);
    fs::write(&own, "changed").unwrap();
    assert_eq!(fs::read(&live).unwrap(), vec![1; 40_000]);
}

#[test]
fn archives_share_blocks_on_xfs() {
    archiving("xfs", 320);
}

#[test]
fn archives_share_blocks_on_btrfs() {
    archiving("btrfs", 128);
}

#[test]
fn xfs_shares_blocks() {
    sharing("xfs", 320, true);
}

#[test]
fn btrfs_shares_blocks() {
    sharing("btrfs", 128, true);
}

#[test]
fn ext4_has_copies() {
    sharing("ext4", 64, false);
}
