use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Args;
use walkdir::WalkDir;

use super::status::bytes;
use super::{Cli, stop};
use crate::error::{Error, Result};
use crate::model::change::Action;
use crate::model::manifest::{Manifest, Progress};
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::Build;
use crate::model::rules;
use crate::model::words::count;
use crate::report::Done;
use crate::site::Site;
use crate::system::{disk, files, signals, tree};

/// Which build, and what it may share files with.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds archive b")]
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
    // In the order of the names, as every command that takes two: otherwise two could wait for each other for ever.
    let _first = site.claim(BuildRef::Name(name.min(basis)))?;
    let _second = (name != basis).then(|| site.claim(BuildRef::Name(name.max(basis)))).transpose()?;
    let (changed, shared) = archive(&site, name, basis)?;
    let size = bytes(shared.bytes);
    let what = match shared.files {
        0 => "there was nothing to share".into(),
        1 => format!("1 file, {size}, is shared"),
        files => format!("{files} files, {size}, are shared"),
    };
    let text = format!("build {name} is archived: {what} with {basis}");
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
        rules::basis(name, basis, site.observe(basis)?.state())?;
        site.check_no_canary("archive", name)?;
        let (changed, shared) = put_away(site, name, basis)?;
        deed.changed(changed);
        Ok((changed, shared))
    })
}

fn put_away(site: &Site, name: BuildName, basis: BuildName) -> Result<(bool, Shared)> {
    let mut manifest = site.observe(name)?.manifest.filter(|manifest| manifest.state != Progress::Creating);
    let manifest = manifest.as_mut().ok_or(rules::Refusal::Incomplete(name))?;
    let stopped = stop::stop(site, name)?;
    let place = site.layout.builds();
    let shares_blocks = !disk::keeps_blocks_apart(&place) && disk::shares_blocks(&place).unwrap_or(false);
    let fresh = manifest.state != Progress::Archived;
    // Who shares which blocks cannot be seen, so that it is written down.
    if manifest.basis == Some(basis) && !fresh && shares_blocks {
        return Ok((stopped, Shared::default()));
    }
    (manifest.state, manifest.basis) = (Progress::Archived, None);
    site.write_manifest(manifest)?;
    let shared = share(site, name, basis, shares_blocks)?;
    manifest.basis = Some(basis);
    site.write_manifest(manifest)?;
    Ok((stopped || fresh || shared.files > 0, shared))
}

/// What an archive has in common with its basis, besides what it had before.
#[derive(Default)]
pub struct Shared {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Lets each file that equals the basis's one share its blocks or, where files cannot, be another name of it, unless
/// somebody may write it: what is written into the archived build must not reach the basis, which may be live. The basis is
/// only read; the archived build's own name for the file changes by a rename, so a kill leaves either file, whole.
fn share(site: &Site, name: BuildName, basis: BuildName, blocks: bool) -> Result<Shared> {
    let (own, other) = (site.layout.build(name), site.layout.build(basis));
    let mut shared = Shared::default();
    // Sorted means read before anything in it is linked: what is being linked must not turn up among what was there.
    let walk = WalkDir::new(own.dir()).sort_by_file_name().into_iter().filter_entry(|entry| entry.path() != own.run());
    for entry in walk {
        signals::check()?;
        let entry = entry.map_err(|error| Error::io("read", own.dir())(error.into()))?;
        let path = entry.path();
        if entry.file_name() == files::SHARING || tree::is_aside(entry.file_name()) {
            // A killed archive has left it.
            files::remove(path)?;
            continue;
        }
        let Ok(relative) = path.strip_prefix(own.dir()) else { continue };
        let twin = other.dir().join(relative);
        let alike = || Ok::<_, io::Error>((blocks || linkable(path, &twin)?) && equal(path, &twin)?);
        if !entry.file_type().is_file() || !alike().map_err(Error::io("compare", path))? {
            continue;
        }
        let done = match blocks {
            true => tree::share_blocks(path, &twin)?,
            false => files::share(&twin, path).map(|()| true)?,
        };
        if done {
            shared.files += 1;
            shared.bytes += files::length(path);
        }
    }
    Ok(shared)
}

/// Whether all but the content of two files is the same, and nobody may write them.
fn linkable(one: &Path, other: &Path) -> io::Result<bool> {
    let a = fs::symlink_metadata(one)?;
    let Ok(b) = fs::symlink_metadata(other) else { return Ok(false) };
    let seen = |data: &fs::Metadata| (data.mode(), data.uid(), data.gid(), data.dev(), data.mtime(), data.mtime_nsec());
    Ok(seen(&a) == seen(&b) && a.mode() & 0o222 == 0)
}

/// Whether two files hold the same content, and are not one.
fn equal(one: &Path, other: &Path) -> io::Result<bool> {
    let a = fs::symlink_metadata(one)?;
    let Ok(b) = fs::symlink_metadata(other) else { return Ok(false) };
    let apart = b.is_file() && (a.dev(), a.ino()) != (b.dev(), b.ino());
    Ok(apart && files::same_content(one, other)?)
}

/// Makes an archived build one that may run: what it writes into its files reaches no other build. It stays archived until
/// all of them are its own and on the disk. The caller holds the build's lock.
///
/// # Errors
/// It is archived still.
pub fn restore(site: &Site, build: Build) -> Result<()> {
    let directory = site.layout.build(build.name).dir().to_owned();
    let owned = tree::own(&directory)?;
    files::sync_all(&directory)?;
    if let Some(manifest) = build.manifest {
        site.write_manifest(&Manifest { state: Progress::Complete, basis: None, ..manifest })?;
    }
    tracing::info!("archive  {} is brought back; it shared {}", build.name, count(owned, "file"));
    Ok(())
}
