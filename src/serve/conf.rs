//! The site's own skeletons in `conf/`: written once, then the operator's.

use nix::unistd::geteuid;

use crate::error::{Error, Result};
use crate::model::config::Upstream;
use crate::model::layout::Role;
use crate::model::name::BuildName;
use crate::model::skeletons::{self, Host, Skeleton};
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::process::Run;

/// A skeleton that is not as it is shipped.
#[derive(Debug)]
pub struct Edited {
    /// Its path below `conf/`.
    pub path: &'static str,
    /// Lines that only the shipped one has.
    pub missing: Vec<String>,
    /// Lines that only the site's one has.
    pub added: Vec<String>,
}

/// Writes those skeletons that are missing, and the directories that uWSGI and nginx expect; whether there were any.
///
/// # Errors
/// A file or directory cannot be made.
pub fn write_missing(site: &Site) -> Result<bool> {
    let layout = &site.layout;
    for directory in [layout.builds(), layout.media(), layout.statics(), layout.conf().join("pages")] {
        files::directory(&directory)?;
    }
    for directory in [layout.run(), layout.logs()] {
        files::private_directory(&directory, 0o750)?;
    }
    files::directory(&layout.run().join("nginx"))?;
    // Whichever nginx serves the site, and as whom: each may append to it.
    let log = layout.requests_log();
    files::append(&log).map_err(Error::io("open", &log))?;
    let mut wrote = false;
    for skeleton in shipped(site) {
        let path = layout.conf().join(skeleton.path);
        if !files::exists(&path) {
            let mode = if skeleton.executable { Mode::Program } else { Mode::Public };
            files::write(&path, skeleton.text.as_bytes(), mode)?;
            wrote = true;
        }
    }
    Ok(wrote)
}

/// Writes how nginx reaches a build that listens on `port`, in each role.
///
/// # Errors
/// A file cannot be written.
pub fn write_upstreams(site: &Site, name: BuildName, port: u16) -> Result<()> {
    let site_conf = files::read(&site.layout.conf().join("site.conf"))?.unwrap_or_default();
    for role in [Role::Live, Role::Stage] {
        let upstream = skeletons::upstream(&site.config, &site.layout, role, port, &site_conf);
        files::write_if_changed(&site.layout.build(name).upstream(role), upstream.as_bytes(), Mode::Public)?;
    }
    Ok(())
}

/// Checks that `conf/pass.conf` speaks to builds in the way that `nginx.upstream` says: HTTP to a socket, or uwsgi to a
/// port, gets no answer.
///
/// # Errors
/// It speaks the other way only.
pub fn check_pass(site: &Site) -> Result<()> {
    let path = site.layout.conf().join("pass.conf");
    let text = files::read(&path)?.unwrap_or_default();
    let says = |directive: &str| text.lines().any(|line| line.trim_start().starts_with(directive));
    let (mode, own, other) = match site.config.nginx.upstream {
        Upstream::Socket => ("socket", "uwsgi_pass", "proxy_pass"),
        Upstream::Port => ("port", "proxy_pass", "uwsgi_pass"),
    };
    if says(own) || !says(other) {
        return Ok(());
    }
    Err(Error::Unmet {
        problem: format!("nginx.upstream is {mode:?}, and {} is not made for it", path.display()),
        cause: format!("it has {other} and no {own}"),
        next: format!("rm {}, then builds init", path.display()),
    })
}

/// Checks that a file of `conf/` has what a command needs; `then` is what has to follow where it is written anew.
///
/// # Errors
/// It does not: it is older than this version, or was edited.
pub fn check_has(site: &Site, file: &str, what: &str, then: &str) -> Result<()> {
    let path = site.layout.conf().join(file);
    let text = files::read(&path)?.unwrap_or_default();
    if text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(what)) {
        return Ok(());
    }
    Err(Error::Unmet {
        problem: format!("{} is not made for this", path.display()),
        cause: format!("it lacks `{what}`: it is from an earlier version, or was edited"),
        next: format!("rm {}, then builds init{then}; builds doctor shows what was edited", path.display()),
    })
}

/// The skeletons of the site that differ from the shipped ones. Missing ones count as empty.
///
/// # Errors
/// A file cannot be read.
pub fn edited(site: &Site) -> Result<Vec<Edited>> {
    let mut edited = Vec::new();
    for skeleton in shipped(site) {
        let text = files::read(&site.layout.conf().join(skeleton.path))?.unwrap_or_default();
        if text != skeleton.text {
            edited.push(Edited {
                path: skeleton.path,
                missing: only_in(&skeleton.text, &text),
                added: only_in(&text, &skeleton.text),
            });
        }
    }
    Ok(edited)
}

fn shipped(site: &Site) -> Vec<Skeleton> {
    // nginx's workers must reach sockets that belong to whoever runs uWSGI. Without root they are that user's anyway.
    let globals = if geteuid().is_root() { "daemon off; user root;" } else { "daemon off;" };
    // It says so on standard error.
    let version = Run::new("sh").args(["-c", "exec \"$0\" -v 2>&1"]).arg(&site.config.nginx.binary).output();
    let version = String::from_utf8_lossy(&version.unwrap_or_default()).into_owned();
    skeletons::of_site(&site.config, &site.layout, &Host { nginx_globals: globals, nginx_version: &version })
}

fn only_in(text: &str, other: &str) -> Vec<String> {
    text.lines().filter(|line| !other.lines().any(|its| its == *line)).map(str::to_owned).collect()
}
