//! The site: what its builds are made of, its names, and what nobody needs any more.

use std::fs;
use std::path::Path;

use super::{Finding, failed, notice, problem};
use crate::model::config::Installer;
use crate::site::Site;

pub(super) fn source(site: &Site) -> Vec<Finding> {
    let source = &site.config.site.source;
    if source.is_dir() {
        return Vec::new();
    }
    vec![problem(format!("site.source: {} is no directory", source.display()), "correct source in builds.toml")]
}

pub(super) fn stores(site: &Site) -> Vec<Finding> {
    let bin = site.layout.tools().join("bin");
    let uv = site.config.python.installer == Installer::Pip || bin.join("uv").exists();
    if site.layout.wheelhouse().is_dir() && bin.join("python").exists() && uv {
        return Vec::new();
    }
    vec![problem("there is no wheelhouse, or no installer beside it", "builds wheels")]
}

pub(super) fn names(site: &Site) -> Vec<Finding> {
    match site.names() {
        Ok(names) if names.live.is_none() || names.stage.is_none() => {
            vec![problem("there is no live or no staged build yet", "builds init")]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![failed(&error)],
    }
}

/// What killed commands left behind. Their next run removes it.
pub(super) fn leftovers(site: &Site) -> Vec<Finding> {
    let is_leftover = |name: &str| name.starts_with(".removing-") || (name.starts_with('.') && name.ends_with(".tmp"));
    let entries = fs::read_dir(site.layout.builds()).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_leftover(&entry.file_name().to_string_lossy()))
        .map(|entry| notice(format!("{} is left of a killed command", entry.path().display()), left(&entry.path())))
        .collect()
}

fn left(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_prefix(".removing-") {
        Some(build) => format!("builds rm {build}"),
        None => format!("rm {}", path.display()),
    }
}
