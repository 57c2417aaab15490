//! What one more build takes on the disk.

use std::process::Command;

use nix::sys::statvfs::statvfs;

use super::row::{Required, Row, Unit};
use super::{Bench, by_turns, shop};
use crate::helpers::shell;
use crate::mount::Mounted;
use crate::site::Site;

const EXT4: Row = Row {
    what: "disk that one more build takes on ext4, dependencies unchanged",
    rival: "a full copy of it",
    unit: Unit::Megabytes,
    required: Required::AtMostTimes(0.1),
};

pub const SPACE: [Row; 2] =
    [EXT4, Row { what: "disk that one more build takes on xfs with reflinks, dependencies unchanged", ..EXT4 }];

pub fn space(bench: &mut Bench) {
    for (row, kind) in SPACE.iter().zip(["ext4", "xfs"]).filter(|(row, _)| super::wanted(row)) {
        let Some(mut site) = Mounted::whole(shop::site(), kind, 16 << 10) else {
            bench.not_measured(row, "this user may not mount");
            continue;
        };
        site.start();
        site.ok(&["init"]);
        let rows = [*row];
        // Nothing is removed, as some file systems give free space back later.
        let [copies, ours] = by_turns([
            (&rows, Box::new(|round| taken(&site, || copy(&site, round)))),
            (&rows, Box::new(|_| taken(&site, || drop(site.ok(&["create", site.ok(&["find-free"]).trim()]))))),
        ]);
        bench.measured(row, &ours, &copies);
    }
}

/// A full copy of a build and its static files.
fn copy(site: &Site, round: usize) {
    let place = site.dir.join(format!("copy{round}"));
    let of = [site.build("a"), site.root().join("assets/static/a")];
    shell(Command::new("mkdir").arg(&place));
    shell(Command::new("cp").args(["-a", "--reflink=never"]).args(of).arg(&place));
}

/// The MB by which the free space of the site's file system becomes less.
fn taken(site: &Site, work: impl FnOnce()) -> f64 {
    let free = || {
        nix::unistd::sync();
        let system = statvfs(&site.dir).unwrap();
        (system.blocks_free() * system.fragment_size()) as f64 / 1e6
    };
    let before = free();
    work();
    before - free()
}
