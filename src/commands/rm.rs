use std::io;
use std::time::SystemTime;

use clap::Args;

use super::{Cli, stop};
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::rules;
use crate::report::Done;
use crate::site::Site;
use crate::steps;
use crate::system::{aside, files, tree};

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds rm b")]
pub struct Arguments {
    /// A build's name; never the live or the staged one
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let (site, name) = (cli.site()?, super::name(&arguments.name)?);
    let _lock = site.lock_build(name)?;
    site.check_ours(name)?;
    if !site.is_build(name) && !is_left(&site, name) {
        return Err(site.missing(name));
    }
    remove(&site, name)?;
    Ok(Done::changed(true, format!("build {name} is removed")).with("build", name))
}

/// Stops a build and deletes it, and sets its static files aside for `keep.static_days`. The one rename in the middle makes
/// it vanish as a whole; what a kill leaves behind it, the next `rm` of this name or `prune` deletes. The caller holds the
/// build's lock.
pub fn remove(site: &Site, name: BuildName) -> Result<()> {
    site.noting(Action::Rm, name, |_| {
        rules::spare("rm", name, &site.names()?)?;
        site.check_no_canary("rm", name)?;
        if site.is_build(name) {
            stop::stop(site, name)?;
            let doomed = site.layout.doomed(name);
            tree::remove_all(&doomed)?;
            files::rename(site.layout.build(name).dir(), &doomed)?;
        }
        remove_rest(site, name)
    })?;
    steps::tidy(site, name);
    Ok(())
}

/// Whether a removal was cut short, and has left something of a build that is not there any more.
pub fn is_left(site: &Site, name: BuildName) -> bool {
    files::exists(&site.layout.doomed(name)) || (files::exists(&site.layout.static_of(name)) && !site.is_build(name))
}

/// Deletes what a removal has left of a build. Static files are left alone where there is a new build of this name. The
/// caller holds the build's lock.
pub fn remove_rest(site: &Site, name: BuildName) -> Result<()> {
    tree::remove_all(&site.layout.doomed(name))?;
    if !site.is_build(name) {
        set_aside(site, name)?;
    }
    Ok(())
}

/// Sets static files aside, and deletes what has been there for too long.
fn set_aside(site: &Site, name: BuildName) -> Result<()> {
    let _lock = site.lock_removed()?;
    let statics = site.layout.static_of(name);
    match aside::set(&statics, &site.layout.removed_statics().join(name.to_string())) {
        // To make room, and to let go of the name, matters more than pages that are open.
        Err(Error::Io { source, .. }) if files::is_full(&source) || CANNOT_KEEP.contains(&source.kind()) => {
            tree::remove_all(&statics)?;
        }
        result => result?,
    }
    aside::sweep(&site.layout.removed_statics(), oldest(site))
}

/// What was set aside before has been there for too long.
pub fn oldest(site: &Site) -> SystemTime {
    SystemTime::now() - site.config.keep.statics()
}

/// What static files on a file system of their own, and earlier files of the same names, come to.
const CANNOT_KEEP: [io::ErrorKind; 3] =
    [io::ErrorKind::CrossesDevices, io::ErrorKind::NotADirectory, io::ErrorKind::IsADirectory];
