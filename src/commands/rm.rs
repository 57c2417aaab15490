use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Args;
use walkdir::WalkDir;

use super::{Cli, stop};
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::name::BuildName;
use crate::model::rules::{self, Refusal};
use crate::report::Done;
use crate::site::Site;
use crate::steps;
use crate::system::{files, tree};

/// Which build.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A build's name; never the live or the staged one
    name: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let (site, name) = (cli.site()?, super::name(&arguments.name)?);
    let _lock = site.lock_build(name)?;
    site.check_ours(name)?;
    let doomed = site.layout.doomed(name);
    let interrupted = files::exists(&doomed) || (files::exists(&site.layout.static_of(name)) && !site.is_build(name));
    if !site.is_build(name) && !interrupted {
        return Err(Refusal::Missing(name).into());
    }
    site.noting(Action::Rm, name, |_| {
        rules::spare("rm", name, &site.names()?)?;
        remove(&site, name)
    })?;
    steps::tidy(&site, name);
    Ok(Done::changed(true, format!("build {name} is removed")).with("build", name))
}

/// How long static files outlive their build, for pages that are open in a browser.
const KEPT: Duration = Duration::from_secs(3600);

/// Stops a build and deletes it, and sets its static files aside. The one rename in the middle makes it vanish as a whole;
/// what a kill leaves behind it, the next `rm` of this name deletes.
pub fn remove(site: &Site, name: BuildName) -> Result<()> {
    let (paths, doomed) = (site.layout.build(name), site.layout.doomed(name));
    if site.is_build(name) {
        stop::stop(site, name)?;
        tree::remove_all(&doomed)?;
        files::rename(paths.dir(), &doomed)?;
    }
    tree::remove_all(&doomed)?;
    sweep(&site.layout.removed_statics())?;
    let aside = site.layout.removed_statics().join(name.to_string());
    match set_aside(&site.layout.static_of(name), &aside) {
        // To make room, and to let go of the name, matters more than pages that are open.
        Err(Error::Io { source, .. }) if files::is_full(&source) || CANNOT_KEEP.contains(&source.kind()) => {
            Ok(tree::remove_all(&site.layout.static_of(name))?)
        }
        result => result,
    }
}

/// What static files on a file system of their own, and earlier files of the same names, come to.
const CANNOT_KEEP: [io::ErrorKind; 3] =
    [io::ErrorKind::CrossesDevices, io::ErrorKind::NotADirectory, io::ErrorKind::IsADirectory];

/// Adds files to those of earlier builds of this name, and notes when. They are never out of nginx's sight: each has its
/// second name before it loses the first.
fn set_aside(from: &Path, to: &Path) -> Result<()> {
    if !files::exists(from) {
        return Ok(());
    }
    for entry in WalkDir::new(from) {
        let entry = entry.map_err(|error| Error::io("read", from)(error.into()))?;
        let second = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        match entry.file_type().is_dir() {
            true => files::directory(&second)?,
            false => files::share(entry.path(), &second)?,
        }
    }
    let noted = File::open(to).and_then(|directory| directory.set_modified(SystemTime::now()));
    noted.map_err(Error::io("touch", to))?;
    Ok(tree::remove_all(from)?)
}

/// Deletes what was set aside long ago.
fn sweep(removed: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(removed) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(Error::io("read", removed))?.path();
        let since = fs::metadata(&path).and_then(|data| data.modified()).map_err(Error::io("look at", &path))?;
        if since.elapsed().is_ok_and(|age| age > KEPT) {
            tree::remove_all(&path)?;
        }
    }
    Ok(())
}
