//! A build's vassal: the sockets that hold its requests.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use super::emperor::Emperor;
use super::{Trouble, stats};
use crate::error::Result;
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::{files, process, procfs, signals, wait};

/// Makes a build listen; whether it did not before. Appearing to the emperor is the last thing that happens.
///
/// # Errors
/// The vassal does not come up. A link that was not there before is gone again.
pub fn start(site: &Site, name: BuildName) -> Result<bool> {
    let paths = site.layout.build(name);
    let port = site.port(name)?.number();
    let linked = files::exists(&paths.vassal_ini());
    if linked && is_up(site, name, port) {
        return Ok(false);
    }
    Emperor::Vassals.wake(site)?;
    let taken = || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err();
    if !linked && (taken() || !stats::silent(&paths.vassal_stats())) {
        // One that a killed command has ended a moment ago still has the port, and the link's name.
        Emperor::Vassals.wait_gone(site, name, &paths.vassal_ini(), &paths.vassal_stats())?;
    }
    if !linked && taken() {
        return Err(Trouble::PortTaken { name, port }.into());
    }
    let (log, said_before) = (site.layout.error_log(name), files::length(&site.layout.error_log(name)));
    // A link that is there stays: a newer one would make the emperor restart a vassal that may have zergs.
    if !linked {
        files::link(Path::new(site.slot(name).socket_name()), &paths.web_socket())?;
        files::link(Path::new("../../conf/vassal.skel"), &paths.vassal_ini())?;
    }
    let patience = site.config.uwsgi.start_timeout;
    let up = wait::until(&[&paths.run()], patience, || {
        Emperor::Vassals.wake(site)?;
        Ok::<_, Trouble>(is_up(site, name, port).then_some(()))
    });
    let trouble = match up {
        Ok(Some(())) => return Ok(true),
        Ok(None) => Trouble::NotListening { name, after: patience, said: process::tail_of(&log, said_before) },
        Err(trouble) => trouble,
    };
    if !linked {
        signals::shielded(|| stop(site, name))?;
    }
    Err(trouble.into())
}

/// Why the name of a slot's socket does not lead to its vassal; `None` where it does. Nobody is asked: the question would
/// wait there for workers.
pub fn severed(socket: &Path) -> Option<String> {
    match fs::symlink_metadata(socket) {
        Err(error) => Some(error.to_string()),
        Ok(_) if procfs::connections(socket).listeners > 1 => Some("the name has gone to another socket".into()),
        Ok(_) => None,
    }
}

/// Stops a build's vassal; whether it had one.
///
/// # Errors
/// It does not end.
pub fn stop(site: &Site, name: BuildName) -> Result<bool> {
    let paths = site.layout.build(name);
    let link = paths.vassal_ini();
    let removed = files::remove(&link)?;
    Emperor::Vassals.wait_gone(site, name, &link, &paths.vassal_stats())?;
    Ok(removed)
}

/// Whether everything that a vassal offers is there: its stats, its zerg server and its HTTP port.
fn is_up(site: &Site, name: BuildName, port: u16) -> bool {
    let paths = site.layout.build(name);
    stats::answers(&paths.vassal_stats())
        && paths.zerg_socket().exists()
        && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
