//! How long the copy of a large source takes, and how much memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::original::place;
use super::row::{Required, Row, Unit};
use super::{Bench, by_turns, seconds, tree};
use crate::helpers::shell;
use crate::mount::Mounted;
use crate::site::{Site, wait_for};

const EXT4_RSYNC: Row = Row {
    what: "copy of 100,000 files, 2 GB, on ext4: step source of a create",
    rival: "rsync -a",
    unit: Unit::Seconds,
    required: Required::Faster(1.0),
};

const XFS: &str = "copy of 100,000 files, 2 GB, on xfs with reflinks: step source of a create";

pub const ON_XFS: [Row; 4] = [
    Row { what: XFS, required: Required::Faster(5.0), ..EXT4_RSYNC },
    Row { what: XFS, rival: "cp -a --reflink=auto", ..EXT4_RSYNC },
    Row {
        what: "the next build's copy of them on xfs, 100 changed: step source of a create",
        rival: "rsync -a --link-dest",
        required: Required::Faster(2.0),
        ..EXT4_RSYNC
    },
    Row {
        what: "peak memory of builds itself in such a create",
        rival: "",
        unit: Unit::Megabytes,
        required: Required::AtMost(64.0),
    },
];

pub const ON_EXT4: [Row; 3] = [
    EXT4_RSYNC,
    Row { rival: "cp -a --reflink=auto", ..EXT4_RSYNC },
    Row { what: "the next build's copy of them on ext4, 100 changed: step source of a create", ..ON_XFS[2] },
];

pub fn on_xfs(bench: &mut Bench) {
    let [rsync, cp, link_dest, memory] = ON_XFS;
    measure(bench, "xfs", [rsync, cp, link_dest], Some(memory));
}

pub fn on_ext4(bench: &mut Bench) {
    measure(bench, "ext4", ON_EXT4, None);
}

fn measure(bench: &mut Bench, kind: &str, [rsync, cp, link_dest]: [Row; 3], memory: Option<Row>) {
    let site = Site::new("plain", "source = \"tree\"\n\n[uwsgi]\nmodule = \"wsgi\"\n\n[python]\nrequirements = []\n");
    let Some(mut site) = Mounted::whole(site, kind, 16 << 10) else {
        let rows = [rsync, cp, link_dest].into_iter().chain(memory);
        return rows.for_each(|row| bench.not_measured(&row, "this user may not mount"));
    };
    tree::plant(&site.dir.join("tree"));
    site.start();

    let mut peaks = Vec::new();
    let first: Vec<_> = [rsync, cp].into_iter().chain(memory).collect();
    let [rsynced, copied, ours] = by_turns([
        (&[rsync], Box::new(|_| rival(&site, &["rsync", "-a", "tree/"]))),
        (&[cp], Box::new(|_| rival(&site, &["cp", "-a", "--reflink=auto", "tree/."]))),
        (
            &first,
            Box::new(|_| {
                let (took, peak) = create(&site, "a");
                site.ok(&["rm", "a"]);
                peaks.push(peak);
                took
            }),
        ),
    ]);
    bench.measured(&rsync, &ours, &rsynced);
    bench.measured(&cp, &ours, &copied);
    if let Some(row) = memory {
        bench.measured(&row, &peaks, &[]);
    }
    if super::wanted(&link_dest) {
        next(bench, &site, &link_dest);
    }
}

/// The copy after one that is there already, and from which the same hundred files differ each time.
fn next(bench: &mut Bench, site: &Site, row: &Row) {
    site.ok(&["create", "a"]);
    let before = place(site, "before");
    shell(Command::new("rsync").args(["-a", "tree/"]).arg(&before).current_dir(&site.dir));
    let link_dest = format!("--link-dest={}", before.display());
    let (tree, rows) = (site.dir.join("tree"), [*row]);
    let [linked, ours] = by_turns([
        (
            &rows,
            Box::new(|round| {
                tree::change(&tree, round);
                rival(site, &["rsync", "-a", &link_dest, "tree/"])
            }),
        ),
        (
            &rows,
            Box::new(|_| {
                let (took, _) = create(site, "b");
                site.ok(&["rm", "b"]);
                took
            }),
        ),
    ]);
    bench.measured(row, &ours, &linked);
}

/// The seconds of a program that copies the tree to a place that does not exist.
fn rival(site: &Site, command: &[&str]) -> f64 {
    let place = place(site, "copy");
    let took = seconds(|| {
        drop(shell(Command::new(command[0]).args(&command[1..]).arg(&place).current_dir(&site.dir)));
    });
    assert!(place.join("wsgi.py").exists());
    fs::remove_dir_all(place).unwrap();
    took
}

/// The seconds of the step `source` of a create, and the most memory that `builds` itself had in MB.
fn create(site: &Site, name: &str) -> (f64, f64) {
    let mut peak = 0.0;
    seconds(|| {
        let mut create = site.command(&["create", name]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", create.id());
        wait_for("the end of a create", || {
            // What it was at the last look: the kernel forgets it when the process ends.
            peak = high_water(Path::new(&status)).unwrap_or(peak);
            create.try_wait().unwrap().is_some()
        });
        assert!(create.wait().unwrap().success(), "create {name}");
    });
    let manifest: serde_json::Value =
        serde_json::from_str(&site.read(&format!("deploy/builds/{name}/build.json"))).unwrap();
    let steps = manifest["steps"].as_array().unwrap();
    let source = steps.iter().find(|step| step["name"] == "source").unwrap();
    (source["seconds"].as_f64().unwrap(), peak)
}

/// The most resident memory that a process had, in MB.
fn high_water(status: &Path) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0 / 1e6)
}
