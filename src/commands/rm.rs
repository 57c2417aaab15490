use clap::Args;

use super::{Cli, stop};
use crate::error::Result;
use crate::model::name::BuildName;
use crate::model::rules::{self, Refusal};
use crate::report::Done;
use crate::site::Site;
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
    rules::spare("rm", name, &site.names()?)?;
    remove(&site, name)?;
    Ok(Done::changed(true, format!("build {name} is removed")).with("build", name))
}

/// Stops a build and deletes it and its static files. The one rename in the middle makes it vanish as a whole; what a
/// kill leaves behind it, the next `rm` of this name deletes.
fn remove(site: &Site, name: BuildName) -> Result<()> {
    let (paths, doomed) = (site.layout.build(name), site.layout.doomed(name));
    if site.is_build(name) {
        stop::stop(site, name)?;
        tree::remove_all(&doomed)?;
        files::rename(paths.dir(), &doomed)?;
    }
    tree::remove_all(&doomed)?;
    tree::remove_all(&site.layout.static_of(name))?;
    Ok(())
}
