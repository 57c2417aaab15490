//! The source: the files that git tracks, those of one commit, or all but the excludes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use super::places::{refuse_own_names, refuse_ways_out};
use super::{Making, Note};
use crate::error::{Error, Result};
use crate::model::pattern::BadLine;
use crate::model::tag::Tag;
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::git::{self, GitError, Tracked};
use crate::system::tree::{self, Excludes, Selection};

/// The file at the top of a source that says what of it is not deployed.
const IGNORE: &str = ".buildsignore";

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
    if git::tracked(source)?.is_none() {
        return Err(Error::Unmet {
            problem: format!("--ref {reference} cannot be taken"),
            cause: format!("{} is no git work tree", source.display()),
            next: "create without --ref, or set site.source to the work tree".into(),
        });
    }
    let commit = git::commit(source, Some(reference))?;
    let files = git::files_in(source, &commit)?;
    refuse_own_names(&tree::listed(source, files, &Excludes::default(), &[])?, "source")?;
    describe(making, source, Some(&commit));
    let exported = git::export(source, &commit, making.paths.dir())?;
    // As where the files are taken as they are: its [env] may hold secrets.
    if let Ok(own) = making.site.file.strip_prefix(source) {
        files::remove(&making.paths.dir().join(own))?;
    }
    making.took(exported.iter().map(PathBuf::as_path));
    let note = format!("{} files of {}", exported.len(), &commit[..12.min(commit.len())]);
    making.alter(true);
    Ok(note)
}

/// The files as they are on the disk.
fn as_it_is(making: &Making, source: &Path) -> Result<String> {
    let (selection, tracked) = select(making.site, source)?;
    refuse_own_names(&selection, "source")?;
    thread::scope(|scope| {
        // Whether tracked files have changed takes git as long as a small copy.
        if tracked {
            scope.spawn(|| describe(making, source, None));
        }
        copy(making, source, &selection)
    })
    .map(|files| format!("{files} files{}", if tracked { " that git tracks" } else { "" }))
}

/// Copies the selection, removes what an earlier try has copied besides, and returns how many files there are.
fn copy(making: &Making, source: &Path, selection: &Selection) -> Result<usize> {
    if let Some(before) = before(making) {
        making.alter(tree::remove_gone(making.paths.dir(), &before, selection)? > 0);
    }
    files::write(&making.paths.source_list(), &selection.to_bytes(), Mode::Public)?;
    let copied = tree::copy(source, selection, making.paths.dir(), &|_| {})?;
    for skipped in &copied.skipped {
        tracing::warn!("not copied, as it is a socket or device: {}", skipped.display());
    }
    making.alter(copied.changed > 0);
    making.took(selection.iter());
    Ok(copied.files)
}

/// What a create takes of the source, and whether that is what git tracks or all but the excludes. The site's own root is
/// not part of it, nor is `builds.toml`, whose `[env]` may hold secrets.
fn select(site: &Site, source: &Path) -> Result<(Selection, bool)> {
    let never = never(site);
    let file = source.join(IGNORE);
    let mut excludes = excludes(&files::read(&file)?.unwrap_or_default(), &file.display().to_string())?;
    if let Some(Tracked { files, missing }) = git::tracked(source)? {
        let missing: Vec<_> = missing.into_iter().filter(|path| !excludes.leave_out_whole(path)).collect();
        if !missing.is_empty() {
            return Err(GitError::NotCheckedOut { source: source.to_owned(), paths: missing }.into());
        }
        return Ok((tree::listed(source, files, &excludes, &never)?, true));
    }
    excludes.0.extend(site.config.site.exclude.0.iter().cloned());
    Ok((tree::everything(source, &excludes, &never)?, false))
}

/// What is no part of the source, wherever it lies.
fn never(site: &Site) -> [PathBuf; 2] {
    [site.layout.root().to_owned(), site.file.clone()]
}

/// The patterns of a source's own [`IGNORE`] file, which is at `place`.
fn excludes(text: &str, place: &str) -> Result<Excludes> {
    Excludes::of_lines(text).map_err(|BadLine { line, text, fault }| Error::Unmet {
        problem: format!("{place} line {line}: {text:?} is no pattern"),
        cause: fault.to_string(),
        next: "write one pattern a line, such as *.pyc, /docs or tests/".into(),
    })
}

/// The source and the overlay on top of it, each with what a create takes of it.
///
/// # Errors
/// One of them is missing or cannot be read.
pub fn files_of(site: &Site) -> Result<Vec<(PathBuf, Selection)>> {
    let source = directory(site)?;
    let mut files = vec![(source.to_owned(), select(site, source)?.0)];
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
