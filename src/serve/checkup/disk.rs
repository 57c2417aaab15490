//! The file system: what it has left, what it can do, and what nobody needs on it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use walkdir::WalkDir;

use super::{Finding, failed, notice, problem};
use crate::error::Error;
use crate::model::layout::{DOOMED, Role};
use crate::model::slot::Slot;
use crate::site::Site;
use crate::system::{disk, files};

const MB: u64 = 1_000_000;
/// What has to be left beside the room for a further build: logs, uploads and databases grow.
const SPARE_BYTES: u64 = 200 * MB;
/// A build with some dozen packages has as many files.
const SPARE_FILES: u64 = 20_000;
/// How far in the future, in seconds, a time may lie that a network file system has given.
const SKEW: u64 = 2;

/// Whether a further build fits.
pub(super) fn room(site: &Site) -> Vec<Finding> {
    let root = site.layout.root();
    let Ok(room) = disk::room(root) else { return Vec::new() };
    let next = "builds rm removes a build that is no longer needed, builds archive shrinks one";
    let mut findings = Vec::new();
    let wanted = largest(site).saturating_add(SPARE_BYTES);
    if room.bytes < wanted {
        findings.push(problem(
            format!(
                "{} has {} MB left: less than {} MB, which a further build and {} MB of logs and uploads take",
                root.display(),
                room.bytes / MB,
                wanted / MB,
                SPARE_BYTES / MB,
            ),
            format!("df -h {}; {next}", root.display()),
        ));
    }
    if let Some(files) = room.files.filter(|&files| files < SPARE_FILES) {
        findings.push(problem(
            format!("{} has room for {files} files: less than {SPARE_FILES}, which a build can have", root.display()),
            format!("df -i {}; {next}", root.display()),
        ));
    }
    findings
}

/// The size of the largest build in bytes, static files included.
fn largest(site: &Site) -> u64 {
    let manifests = site.builds().into_iter().flatten().filter_map(|name| site.manifest(name).ok()?);
    let sizes =
        manifests.map(|manifest| manifest.bytes.unwrap_or(0).saturating_add(manifest.static_bytes.unwrap_or(0)));
    sizes.max().unwrap_or(0)
}

/// Whether the two names can change places.
pub(super) fn exchange(site: &Site) -> Vec<Finding> {
    let builds = site.layout.builds();
    if !builds.is_dir() {
        return Vec::new();
    }
    match disk::exchanges(&builds) {
        Ok(true) => Vec::new(),
        Ok(false) => vec![notice(
            format!("the file system of {} cannot exchange two links: a swap goes by a third one", builds.display()),
            format!("findmnt -T {} shows it; ext4, xfs, btrfs and tmpfs can", builds.display()),
        )],
        Err(error) => vec![failed(&Error::io("make a link in", &builds)(error))],
    }
}

/// Links from the future. The emperors and `builds` tell by a link's time whether it was changed.
pub(super) fn clock(site: &Site) -> Vec<Finding> {
    let inis = site.builds().into_iter().flatten().flat_map(|name| {
        let paths = site.layout.build(name);
        [paths.vassal_ini(), paths.slot(Slot::First).ini(), paths.slot(Slot::Second).ini()]
    });
    let links = [Role::Live, Role::Stage].map(|role| site.layout.link(role)).into_iter().chain(inis);
    links
        .filter_map(|link| Some((ahead(&link)?, link)))
        .map(|(seconds, link)| {
            problem(
                format!("{} was changed {seconds} s from now: the clock was wrong then, or is now", link.display()),
                format!("date; when that is right, touch -h {}", link.display()),
            )
        })
        .collect()
}

/// How many seconds in the future a file was changed.
fn ahead(path: &Path) -> Option<u64> {
    let changed = fs::symlink_metadata(path).ok()?.modified().ok()?;
    let seconds = changed.duration_since(SystemTime::now()).ok()?.as_secs();
    (seconds > SKEW).then_some(seconds)
}

/// What killed commands left behind.
pub(super) fn leftovers(site: &Site) -> Vec<Finding> {
    let layout = &site.layout;
    let ours = |path: &Path| path != layout.assets() && path != layout.root().join("deps");
    let walk = WalkDir::new(layout.root()).min_depth(1).into_iter().filter_entry(|entry| ours(entry.path()));
    walk.flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy();
            let next = match name.strip_prefix(DOOMED) {
                Some(build) if entry.depth() == 2 => format!("builds rm {build}"),
                _ if files::is_left(&name) => format!("rm {}", entry.path().display()),
                _ => return None,
            };
            Some(notice(format!("{} is left of a killed command", entry.path().display()), next))
        })
        .collect()
}
