//! Which files of two builds differ, and in what.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::difference::is_settings;
use crate::model::listing::Fate;
use crate::model::name::BuildName;
use crate::site::Site;
use crate::steps::overlay;
use crate::system::process::Run;
use crate::system::{files, tree};

/// A file that is not the same in two builds.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// From the builds' directories, or from those of their static files.
    pub path: String,
    /// What the second build has of it.
    pub fate: Fate,
}

/// How many there are.
#[derive(Debug, Default)]
pub struct Counts {
    pub added: usize,
    pub edited: usize,
    pub removed: usize,
}

impl Counts {
    pub fn of(all: &[Difference]) -> Self {
        let count = |fate| all.iter().filter(|one| one.fate == fate).count();
        Self { added: count(Fate::Added), edited: count(Fate::Edited), removed: count(Fate::Removed) }
    }
}

/// The settings, and what the overlay has now.
///
/// # Errors
/// A file cannot be read.
pub fn settings(site: &Site, from: BuildName, to: BuildName) -> Result<Vec<Difference>> {
    let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
    for build in [from, to] {
        let all =
            tree::list(site.layout.build(build).dir(), Path::new(""), &[Path::new("run"), Path::new("node_modules")])?;
        paths.extend(all.into_iter().map(|(path, _)| path).filter(|path| is_settings(path)));
    }
    if let Some(directory) = &site.config.site.overlay {
        paths.extend(overlay::select(site, directory)?.iter().map(Path::to_owned));
    }
    compare(paths, site.layout.build(from).dir(), site.layout.build(to).dir())
}

/// The static files.
///
/// # Errors
/// A file cannot be read.
pub fn statics(site: &Site, from: BuildName, to: BuildName) -> Result<Vec<Difference>> {
    let places = [from, to].map(|build| site.layout.static_of(build));
    let mut paths = BTreeSet::new();
    for place in places.iter().filter(|place| place.is_dir()) {
        paths.extend(tree::list(place, Path::new(""), &[])?.into_iter().map(|(path, _)| path));
    }
    compare(paths, &places[0], &places[1])
}

fn compare(paths: BTreeSet<PathBuf>, from: &Path, to: &Path) -> Result<Vec<Difference>> {
    let mut differing = Vec::new();
    for path in paths {
        let [one, other] = [from, to].map(|place| Content::of(&place.join(&path)));
        let fate = match (one?, other?) {
            (None, Some(_)) => Fate::Added,
            (Some(_), None) => Fate::Removed,
            (Some(one), Some(other)) if !one.equals(&other)? => Fate::Edited,
            _ => continue,
        };
        differing.push(Difference { path: path.to_string_lossy().into_owned(), fate });
    }
    Ok(differing)
}

/// What a path holds.
enum Content {
    Link(PathBuf),
    File(PathBuf),
    Directory,
}

impl Content {
    fn of(path: &Path) -> Result<Option<Self>> {
        let content = fs::symlink_metadata(path).and_then(|data| {
            Ok(match data.file_type() {
                kind if kind.is_symlink() => Self::Link(fs::read_link(path)?),
                kind if kind.is_file() => Self::File(path.to_owned()),
                _ => Self::Directory,
            })
        });
        match content {
            Ok(content) => Ok(Some(content)),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
            Err(error) => Err(Error::io("look at", path)(error)),
        }
    }

    fn equals(&self, other: &Self) -> Result<bool> {
        Ok(match (self, other) {
            (Self::Link(one), Self::Link(other)) => one == other,
            (Self::Directory, Self::Directory) => true,
            (Self::File(one), Self::File(other)) => {
                files::same_content(one, other).map_err(Error::io("compare", other))?
            }
            _ => false,
        })
    }
}

/// What differs in each file, as `diff -u` shows it.
///
/// # Errors
/// It cannot be run.
pub fn details(site: &Site, files: &[Difference], from: BuildName, to: BuildName) -> Result<String> {
    let mut text = String::new();
    for Difference { path, .. } in files {
        let mut run = Run::new("diff").args(["-u", "-N"]);
        for build in [from, to] {
            run = run.args(["--label".to_owned(), format!("{build}/{path}")]);
        }
        let run =
            [from, to].iter().fold(run.arg("--"), |run, &build| run.arg(site.layout.build(build).dir().join(path)));
        text += &String::from_utf8_lossy(&run.output_or(1)?);
    }
    Ok(text)
}
