//! The source: the files that git tracks, those of one commit, or all but the excludes.

mod select;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use super::places::{refuse_own_names, refuse_ways_out};
use super::{Making, Note};
use crate::error::{Error, Result};
use crate::model::tag::Tag;
use crate::model::words::count;
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::git::{self, GitError};
use crate::system::tree::{self, Selection};

pub fn run(making: &Making, _: &Path) -> Result<Note> {
    let source = directory(making.site)?;
    let reference = making.manifest().source.reference.clone();
    let note = match reference {
        Some(reference) => commit(making, source, &reference)?,
        None => as_it_is(making, source)?,
    };
    refuse_ways_out(making)?;
    // nginx must be able to pass through, however closed the source is.
    fs::set_permissions(making.paths.dir(), Permissions::from_mode(0o755))
        .map_err(Error::io("open to nginx", making.paths.dir()))?;
    let module = module(making)?;
    making.manifest().module = Some(module);
    Ok(Some(note))
}

/// The source directory.
///
/// # Errors
/// There is none.
pub fn directory(site: &Site) -> Result<&Path> {
    let source = &site.config.site.source;
    if source.is_dir() {
        return Ok(source);
    }
    Err(Error::Absent { place: site.config.place("site.source"), path: source.clone() })
}

/// What an interrupted create had copied.
fn before(making: &Making) -> Option<Selection> {
    Selection::from_bytes(&fs::read(making.paths.source_list()).ok()?).ok()
}

/// The files of one commit, straight from the object store, into a directory that [`Making::begin`] has emptied.
fn commit(making: &Making, source: &Path, reference: &str) -> Result<String> {
    let Some(commit) = git::find(source, reference)? else {
        return Err(Error::Unmet {
            problem: format!("--ref {reference} cannot be taken"),
            cause: format!("{} is in no git repository", source.display()),
            next: "create without --ref, or set site.source to a directory of one".into(),
        });
    };
    let files = select::of_commit(making.site, source, reference, &commit)?;
    let pointers = thread::scope(|scope| {
        scope.spawn(|| describe(making, source, Some(&commit.hash)));
        commit.export(&files, making.paths.dir(), &making.paths.export())
    })?;
    if !pointers.is_empty() {
        let (source, revision) = (source.to_owned(), Some(reference.to_owned()));
        return Err(GitError::Pointers { source, revision, paths: pointers }.into());
    }
    making.took(files.iter().map(PathBuf::as_path));
    making.alter(true);
    Ok(format!("{} of {}", count(files.len(), "file"), &commit.hash[..12]))
}

/// The files as they are on the disk.
fn as_it_is(making: &Making, source: &Path) -> Result<String> {
    let (selection, tracked) = select::as_it_is(making.site, source)?;
    refuse_own_names(&selection, "source")?;
    thread::scope(|scope| {
        // Whether tracked files have changed takes git as long as a small copy.
        if tracked {
            scope.spawn(|| describe(making, source, None));
        }
        copy(making, source, &selection)
    })
    .map(|files| format!("{}{}", count(files, "file"), if tracked { " that git tracks" } else { "" }))
}

/// Copies the selection, removes what an earlier try has copied besides, and returns how many files there are.
fn copy(making: &Making, source: &Path, selection: &Selection) -> Result<usize> {
    if let Some(before) = before(making) {
        making.alter(tree::remove_gone(making.paths.dir(), &before, selection)? > 0);
    }
    files::write(&making.paths.source_list(), &selection.to_bytes(), Mode::Public)?;
    let copied = making.copy("source", source, selection)?;
    for skipped in &copied.skipped {
        tracing::warn!("not copied, as it is a socket or device: {}", skipped.display());
    }
    Ok(copied.files)
}

/// The source and the overlay on top of it, each with what a create takes of it.
///
/// # Errors
/// One of them is missing or cannot be read.
pub fn files_of(site: &Site) -> Result<Vec<(PathBuf, Selection)>> {
    let source = directory(site)?;
    let mut files = vec![(source.to_owned(), select::as_it_is(site, source)?.0)];
    if let Some(overlay) = &site.config.site.overlay {
        files.push((overlay.clone(), super::overlay::select(site, overlay)?));
    }
    Ok(files)
}

/// Notes which commit it is, and takes git's description as the tag where the operator gave none. `commit` is the one
/// that the files come from, or else they are those of the work tree.
fn describe(making: &Making, source: &Path, commit: Option<&str>) {
    making.manifest().source.commit = commit.map(str::to_owned).or_else(|| git::commit(source, None).ok());
    if making.tagged {
        return;
    }
    let described = git::describe(source, commit).ok().and_then(|text| Tag::from_description(&text));
    if let Some(tag) = described {
        // The tag is in the environment of the steps' commands.
        let mut manifest = making.manifest();
        making.alter(manifest.tag != tag);
        manifest.tag = tag;
    }
}

/// The WSGI application: what the configuration says, or the only `wsgi.py` of the source or of its directories.
fn module(making: &Making) -> Result<String> {
    if let Some(module) = &making.site.config.uwsgi.module {
        return Ok(module.clone());
    }
    guess_module(making.paths.dir()).map_err(|found| Error::Unmet {
        problem: "the WSGI application is not known".into(),
        cause: format!("uwsgi.module is not set, and the source has {found} files named wsgi.py to guess from"),
        next: "set module = \"PACKAGE.wsgi:application\" in the section [uwsgi] of builds.toml".into(),
    })
}

/// The module of the only `wsgi.py` in a directory or one below, or how many there are.
///
/// # Errors
/// There is none, or more than one.
pub fn guess_module(directory: &Path) -> Result<String, usize> {
    let mut found = Vec::new();
    if directory.join("wsgi.py").is_file() {
        found.push("wsgi:application".to_owned());
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let package = entry.file_name().to_string_lossy().into_owned();
        let is_identifier = package.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        if is_identifier && entry.path().join("wsgi.py").is_file() {
            found.push(format!("{package}.wsgi:application"));
        }
    }
    match found.as_mut_slice() {
        [only] => Ok(std::mem::take(only)),
        several => Err(several.len()),
    }
}
