//! nginx: which one serves the site, whether its configuration loads, and a reload that is known to have happened.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::error::{Error, Result};
use crate::model::config::Upstream;
use crate::model::layout::Role;
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::process::Run;
use crate::system::procfs::{self, Process};
use crate::system::wait;

/// How long nginx may take to replace its workers.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the master may outlive the stack that it belongs to.
const END: Duration = Duration::from_secs(5);

/// The nginx that serves a site: the one under `builds up`, or the host's.
#[derive(Debug)]
pub struct Nginx<'a> {
    site: &'a Site,
    master: Process,
    own: bool,
}

/// What a running nginx has loaded, kept so that nobody reloads it for nothing, or forgets to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Loaded {
    master: i32,
    started: u64,
    upstreams: String,
}

/// The pid file of the nginx under `builds up`.
pub fn own_pid_file(site: &Site) -> PathBuf {
    site.layout.run().join("nginx.pid")
}

/// Finds the nginx that runs now.
///
/// # Errors
/// None does, or this user may not see that of the site.
pub fn find(site: &Site) -> Result<Nginx<'_>, Trouble> {
    let own = own_pid_file(site);
    let hosts = &site.config.nginx.pid_file;
    if fs::metadata(&own).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        return Err(Trouble::Closed { what: "nginx".into(), path: own });
    }
    let running = |file: &Path| {
        let pid = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        procfs::process(pid).filter(|process| process.title.starts_with("nginx"))
    };
    match (running(&own), running(hosts)) {
        (Some(master), _) => Ok(Nginx { site, master, own: true }),
        (None, Some(master)) => Ok(Nginx { site, master, own: false }),
        (None, None) => Err(Trouble::NoNginx { pid_file: hosts.clone() }),
    }
}

/// Whether workers are left of the nginx of a `builds up` that was killed: the next one ends them, and takes their ports.
/// Its master dies with its stack, a moment later.
///
/// # Errors
/// There is none; the type is that of every wait.
pub fn has_orphans(site: &Site) -> Result<bool, Trouble> {
    let pid = fs::read_to_string(own_pid_file(site)).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let Some(master) = pid else { return Ok(false) };
    // What has ended and that nobody has asked for its end, as in some containers, has no title.
    let gone = || Ok(procfs::process(master).is_none_or(|process| process.title.is_empty()).then_some(()));
    let is_orphan = |process: Process| process.group == master && process.title.starts_with("nginx: worker");
    Ok(wait::until::<_, Trouble>(&[], END, gone)?.is_some() && procfs::processes().any(is_orphan))
}

/// Waits until no nginx worker is left that might still send a request to the port of a build without a name. One that
/// goes by sockets looks up where they are at every request.
///
/// # Errors
/// There still is one when a drain would be given up.
pub fn await_old_workers(site: &Site, name: BuildName) -> Result<(), Trouble> {
    let (Upstream::Port, Ok(nginx)) = (site.config.nginx.upstream, find(site)) else { return Ok(()) };
    let after = site.config.uwsgi.drain_timeout;
    let gone = wait::until(&[], after, || Ok::<_, Trouble>((!nginx.has_old_workers()).then_some(())))?;
    gone.ok_or(Trouble::OldWorkers { name, after })
}

/// What nginx would load for this site's two names, and how it would speak to them.
///
/// # Errors
/// A file is there and cannot be read.
pub fn upstreams(site: &Site) -> Result<String> {
    let mut text = String::new();
    for role in [Role::Live, Role::Stage] {
        text += &files::read(&site.layout.link(role).join(role.upstream_name()))?.unwrap_or_default();
    }
    Ok(text + &files::read(&pass(site))?.unwrap_or_default())
}

fn pass(site: &Site) -> PathBuf {
    site.layout.conf().join("pass.conf")
}

impl Nginx<'_> {
    /// What this nginx has loaded, as far as that is known: what the last reload of `builds` gave it, or what is on the
    /// disk if all of its workers, which somebody else's start or reload made, are younger.
    ///
    /// # Errors
    /// The record or an upstream cannot be read.
    pub fn loaded(&self) -> Result<Option<String>> {
        let record = files::read(&self.record_file())?.and_then(|text| serde_json::from_str::<Loaded>(&text).ok());
        match record {
            Some(record) if (record.master, record.started) == (self.master.pid, self.master.started) => {
                Ok(Some(record.upstreams))
            }
            _ if self.is_younger_than_the_names() => upstreams(self.site).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether nothing that nginx reads of the names was changed since it last read it.
    fn is_younger_than_the_names(&self) -> bool {
        let Some(started) = self.workers().values().filter_map(Process::started_at).min() else {
            return false;
        };
        let older = |data: io::Result<fs::Metadata>| {
            data.and_then(|data| data.modified()).map_or(true, |changed| changed < started)
        };
        let names = [Role::Live, Role::Stage].into_iter().all(|role| {
            let link = self.site.layout.link(role);
            older(fs::symlink_metadata(&link)) && older(fs::metadata(link.join(role.upstream_name())))
        });
        names && older(fs::metadata(pass(self.site)))
    }

    /// Reloads nginx if the names mean something else than `loaded`, and returns when its new workers serve; whether it
    /// had to.
    ///
    /// # Errors
    /// The configuration does not load (nothing was reloaded), or the reload did not happen in time.
    pub fn follow(&self, loaded: Option<&str>) -> Result<bool> {
        let upstreams = upstreams(self.site)?;
        let differs = loaded != Some(&upstreams);
        if differs {
            self.test()?;
            // From here on nobody knows what it has loaded, should this process be killed or the reload take too long.
            files::remove(&self.record_file())?;
            self.reload()?;
        }
        let record = Loaded { master: self.master.pid, started: self.master.started, upstreams };
        let text = serde_json::to_vec(&record)
            .map_err(std::io::Error::from)
            .map_err(Error::io("write", &self.record_file()))?;
        files::write_if_changed(&self.record_file(), &text, Mode::Public)?;
        Ok(differs)
    }

    /// Asks nginx whether its configuration loads.
    ///
    /// # Errors
    /// It does not.
    pub fn test(&self) -> Result<(), Trouble> {
        Run::list(&self.test_command()).output().map(drop).map_err(Trouble::BadNginxConf)
    }

    fn test_command(&self) -> Vec<String> {
        if !self.own {
            return self.site.config.nginx.test.as_slice().to_vec();
        }
        let binary = self.site.config.nginx.binary.to_string_lossy();
        let conf = self.site.layout.conf().join("nginx.conf");
        [&binary, "-t", "-q", "-e", "stderr", "-c", &conf.to_string_lossy()].map(str::to_owned).to_vec()
    }

    /// The configuration that nginx would load: all files, each below a line that names it.
    ///
    /// # Errors
    /// It does not load.
    pub fn configuration(&self) -> Result<String, Trouble> {
        let test = self.test_command();
        let dump = test.iter().map(|word| if word == "-t" { "-T" } else { word });
        let dump: Vec<String> = dump.map(str::to_owned).collect();
        let text = Run::list(&dump).output().map_err(Trouble::BadNginxConf)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn reload(&self) -> Result<(), Trouble> {
        let old = self.workers();
        if self.own {
            kill(Pid::from_raw(self.master.pid), Signal::SIGHUP)
                .map_err(|errno| Trouble::CannotReload(errno.to_string()))?;
        } else {
            Run::list(self.site.config.nginx.reload.as_slice())
                .output()
                .map_err(|error| Trouble::CannotReload(format!("{}: {}", error.what(), error.cause())))?;
        }
        let reloaded = wait::until(&[], PATIENCE, || {
            let now = self.workers();
            let new = now.keys().any(|pid| !old.contains_key(pid));
            let old_left = now.keys().any(|pid| old.contains_key(pid));
            Ok::<_, Trouble>((new && !old_left).then_some(()))
        })?;
        reloaded.ok_or(Trouble::NotReloaded { after: PATIENCE })
    }

    /// The process of one of its workers.
    pub fn worker(&self) -> Option<i32> {
        self.workers().into_keys().next()
    }

    /// The workers that take new connections.
    fn workers(&self) -> HashMap<i32, Process> {
        procfs::children(self.master.pid)
            .into_iter()
            .filter(|process| {
                process.title.starts_with("nginx: worker process") && !process.title.contains("shutting down")
            })
            .map(|process| (process.pid, process))
            .collect()
    }

    /// Whether a worker that a reload has replaced still has requests. They go where its configuration tells.
    fn has_old_workers(&self) -> bool {
        procfs::children(self.master.pid).iter().any(|process| process.title.contains("shutting down"))
    }

    fn record_file(&self) -> PathBuf {
        self.site.layout.run().join("nginx.loaded")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(text in damaged(r#"{"master": 7, "started": 9, "upstreams": "x {}"}"#)) {
            if let Ok(loaded) = serde_json::from_str::<Loaded>(&text) {
                let again = serde_json::to_string(&loaded).unwrap();
                prop_assert_eq!(loaded, serde_json::from_str(&again).unwrap());
            }
        }
    }
}
