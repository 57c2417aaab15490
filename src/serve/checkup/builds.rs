//! The builds, and what passes for one.

use std::fs;

use super::{Finding, failed, notice, problem};
use crate::model::name::BuildName;
use crate::model::observed::State;
use crate::model::words::count;
use crate::serve::{pause, vassal};
use crate::site::Site;
use crate::system::files;

pub(super) fn builds(site: &Site) -> Vec<Finding> {
    let all = match site.builds() {
        Ok(all) => all,
        Err(error) => return vec![failed(&error)],
    };
    let mut findings = Vec::new();
    for name in all {
        if let Err(error) = site.check_ours(name) {
            findings.push(failed(&error));
            continue;
        }
        let state = site.observe(name).map(|build| build.state());
        if state.as_ref().is_ok_and(|&state| state >= State::Down)
            && let Err(error) = site.check_port(name)
        {
            findings.push(failed(&error));
        }
        if state.as_ref().is_ok_and(|&state| state >= State::Active) {
            findings.extend(dead_socket(site, name));
            findings.extend(replaced(site, name));
            findings.extend(paused(site, name));
        }
        match state {
            Ok(State::Incomplete) => findings.push(notice(
                format!("build {name} is incomplete"),
                format!("builds create {name} continues it, builds rm {name} removes it"),
            )),
            Ok(State::Down) => findings.push(problem(
                format!("build {name} should listen, and its vassal does not answer"),
                "builds up starts uWSGI; logs/ tells why a vassal ends",
            )),
            Ok(State::Active) => findings.push(problem(
                format!("build {name} is active, and not all of its workers are ready"),
                format!("builds activate {name} waits for them, or tells why they do not start"),
            )),
            Ok(State::Archived) => {}
            Ok(_) if !site.layout.build(name).python().exists() => findings.push(problem(
                format!("build {name} has lost its Python: workers that end now do not come back"),
                format!("put {} back, or let another build take its place", site.layout.build(name).python().display()),
            )),
            Ok(_) => {}
            Err(error) => findings.push(failed(&error)),
        }
    }
    findings
}

/// Workers at a socket whose name nobody can connect to, or leads to somebody else's: requests never reach them.
fn dead_socket(site: &Site, name: BuildName) -> Option<Finding> {
    let socket = site.layout.build(name).slot(site.slot(name)).socket();
    let why = vassal::severed(&socket)?;
    Some(problem(
        format!("the workers of build {name} sit on a dead socket: {}: {why}", socket.display()),
        format!("builds restart {name} gives it new ones at another socket"),
    ))
}

/// Workers that are left of a restart that was killed.
fn replaced(site: &Site, name: BuildName) -> Option<Finding> {
    let left = site.layout.build(name).slot(site.slot(name).other());
    files::exists(&left.ini()).then(|| {
        notice(
            format!("build {name} still has the workers that a restart has replaced"),
            format!("builds activate {name} ends them when they have finished"),
        )
    })
}

/// A pause, and one that nobody ends.
fn paused(site: &Site, name: BuildName) -> Option<Finding> {
    let pause = pause::of(site, name)?;
    let waiting = count(pause.waiting, "request");
    Some(match pause.is_overdue(files::now()) {
        true => problem(
            format!("build {name} is paused for longer than it should be: {waiting} waiting"),
            "builds resume; the process that ends a pause in time was killed",
        ),
        false => notice(format!("build {name} is paused: {waiting} waiting"), "builds resume ends it"),
    })
}

/// Directories that are no builds, and that the emperors take for some: copies and backups.
pub(super) fn strangers(site: &Site) -> Vec<Finding> {
    let entries = fs::read_dir(site.layout.builds()).into_iter().flatten().flatten();
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries
        .filter(|entry| name(entry).starts_with(|first: char| first.is_ascii_lowercase()))
        .filter(|entry| name(entry).parse::<BuildName>().is_err())
        .filter(|entry| {
            ["vassal.ini", "zerg.ini", "zerg-2.ini"].iter().any(|ini| files::exists(&entry.path().join(ini)))
        })
        .map(|entry| {
            let path = entry.path();
            problem(
                format!("{} is no build, and uWSGI runs it as one", path.display()),
                format!("rm -f {0}/zerg.ini {0}/zerg-2.ini {0}/vassal.ini, or move it out of builds/", path.display()),
            )
        })
        .collect()
}
