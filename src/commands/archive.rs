use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Args;
use walkdir::WalkDir;

use super::status::bytes;
use super::{Cli, stop};
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::manifest::Progress;
use crate::model::name::{BuildName, BuildRef};
use crate::model::rules;
use crate::report::Done;
use crate::site::Site;
use crate::system::{files, signals};

/// Which build, and what it may share files with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A build's name; never the live or the staged one
    name: String,
    /// The build whose equal files are shared
    #[arg(long, value_name = "BUILD", default_value = "live")]
    basis: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let name = site.resolve(super::reference(&arguments.name)?)?;
    let basis = site.resolve(super::reference(&arguments.basis)?)?;
    rules::spare("archive", name, &site.names()?)?;
    rules::basis(name, basis, site.observe(basis)?.state())?;
    // In the order of the names, as every command that takes two: otherwise two could wait for each other for ever.
    let _first = site.claim(BuildRef::Name(name.min(basis)))?;
    let _second = site.claim(BuildRef::Name(name.max(basis)))?;
    let (changed, shared) = archive(&site, name, basis)?;
    let size = bytes(shared.bytes);
    let text = format!("build {name} is archived: {} files, {size}, are shared with {basis}", shared.files);
    Ok(Done::changed(changed, text)
        .with("build", name)
        .with("basis", basis)
        .with("files", shared.files)
        .with("bytes", shared.bytes))
}

/// Stops a build and lets it share its files with another; whether there was anything to do, and what is shared now. The
/// caller holds the locks of both.
pub fn archive(site: &Site, name: BuildName, basis: BuildName) -> Result<(bool, Shared)> {
    site.noting(Action::Archive, name, |deed| {
        rules::spare("archive", name, &site.names()?)?;
        site.check_no_canary("archive", name)?;
        let changed = put_away(site, name, basis)?;
        let shared = share(site, name, basis)?;
        deed.changed(changed || shared.files > 0);
        Ok((changed || shared.files > 0, shared))
    })
}

/// Stops a build that shall never run again as it is; whether it could before.
fn put_away(site: &Site, name: BuildName, basis: BuildName) -> Result<bool> {
    let mut manifest = site.observe(name)?.manifest.filter(|manifest| manifest.state != Progress::Creating);
    let manifest = manifest.as_mut().ok_or(rules::Refusal::Incomplete(name))?;
    let stopped = stop::stop(site, name)?;
    let fresh = manifest.state != Progress::Archived;
    if fresh {
        manifest.state = Progress::Archived;
        manifest.basis = Some(basis);
        site.write_manifest(manifest)?;
    }
    Ok(stopped || fresh)
}

/// What an archive has in common with its basis, besides what it had before.
#[derive(Default)]
pub struct Shared {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Replaces each file that equals the basis's one by a hard link to it. The basis is only read; the archived build's own
/// name for the file changes by a rename, so a kill leaves either file, whole.
fn share(site: &Site, name: BuildName, basis: BuildName) -> Result<Shared> {
    let (own, other) = (site.layout.build(name), site.layout.build(basis));
    let mut shared = Shared::default();
    // Sorted means read before anything in it is linked: what is being linked must not turn up among what was there.
    let walk = WalkDir::new(own.dir()).sort_by_file_name().into_iter().filter_entry(|entry| entry.path() != own.run());
    for entry in walk {
        signals::check()?;
        let entry = entry.map_err(|error| Error::io("read", own.dir())(error.into()))?;
        if entry.file_name() == files::SHARING {
            // A killed archive has left it.
            files::remove(entry.path())?;
            continue;
        }
        let Ok(relative) = entry.path().strip_prefix(own.dir()) else { continue };
        let twin = other.dir().join(relative);
        if entry.file_type().is_file() && equal(entry.path(), &twin).map_err(Error::io("compare", entry.path()))? {
            files::share(&twin, entry.path())?;
            shared.files += 1;
            shared.bytes += files::length(entry.path());
        }
    }
    Ok(shared)
}

/// Whether two names hold the same content with the same owner and mode, in two places of one file system.
fn equal(one: &Path, other: &Path) -> std::io::Result<bool> {
    let a = fs::symlink_metadata(one)?;
    let Ok(b) = fs::symlink_metadata(other) else { return Ok(false) };
    let alike = b.is_file()
        && (a.len(), a.mode(), a.uid(), a.gid(), a.dev()) == (b.len(), b.mode(), b.uid(), b.gid(), b.dev())
        && a.ino() != b.ino();
    Ok(alike && fs::read(one)? == fs::read(other)?)
}
