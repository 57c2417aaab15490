//! The site: what its builds are made of, and its names.

use std::fs;
use std::os::unix::fs::PermissionsExt;

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

/// Whether every user may read what is secret in `builds.toml`.
pub(super) fn secrets(site: &Site) -> Vec<Finding> {
    let open = fs::metadata(&site.file).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    let what = match (site.config.env.is_empty(), &site.config.notify.secret) {
        _ if !open => return Vec::new(),
        (false, _) => "an [env]",
        (true, Some(_)) => "a secret of [notify]",
        (true, None) => return Vec::new(),
    };
    let file = site.file.display();
    vec![notice(format!("{file} has {what}, and other users may read it"), format!("chmod o-r {file}"))]
}
