//! The site: what its builds are made of, and its names.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use walkdir::WalkDir;

use super::{Finding, failed, notice, problem};
use crate::model::config::Installer;
use crate::serve::emperor;
use crate::site::Site;
use crate::system::who;

/// How deep below the site's root files are looked at: what lies deeper belongs to whoever has made what is above it.
const DEPTH: usize = 4;

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

/// What root has made in the site of somebody else, who cannot go on with it.
pub(super) fn owners(site: &Site) -> Vec<Finding> {
    let Some(user) = emperor::user(site).filter(|user| !user.is_root()) else { return Vec::new() };
    let (root, user) = (site.layout.root(), who::name(user));
    // Uploads are the application's affair, and a host's nginx writes its log as root.
    let theirs = [site.layout.media(), site.layout.requests_log()];
    let walk = WalkDir::new(root).max_depth(DEPTH).into_iter();
    let walk = walk.filter_entry(|entry| !theirs.iter().any(|path| path == entry.path())).flatten();
    let mut roots = walk.filter(|entry| entry.metadata().is_ok_and(|data| data.uid() == 0));
    let Some(first) = roots.next() else { return Vec::new() };
    vec![problem(
        format!("{} and {} more belong to root, and the site runs as {user}", first.path().display(), roots.count()),
        format!("chown -R --from=root {}: {}, as root", user.trim_start_matches('#'), root.display()),
    )]
}

/// Events that the webhook has not got yet.
pub(super) fn outbox(site: &Site) -> Vec<Finding> {
    let entries = fs::read_dir(site.layout.outbox()).into_iter().flatten().flatten();
    let waiting = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "json")).count();
    if waiting == 0 {
        return Vec::new();
    }
    let log = site.layout.logs().join("notify.log");
    vec![notice(
        format!("{waiting} events wait for the webhook of [notify]"),
        format!("{} tells what it answers; the next event takes them along", log.display()),
    )]
}
