use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::fcntl::renameat;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::TreeError;
use super::attributes::{Attributes, Giver};
use super::contents::{Writer, Written};
use super::crew::{MOST, Worker, share};
use super::directory::{Directory, WRITE, kind, mode};

/// Whether it is the name of what a process was making here, and has left if it was killed.
pub fn is_aside(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(ASIDE.as_bytes())
}

/// What gets the content of a file before the rename has this name, and the number of its thread.
const ASIDE: &str = ".builds-own~";

/// Gives each file below `tree` that somebody may write, and that has other names, content of its own: what is written to
/// it later reaches nobody else. All else of it stays. Returns how many such files there were. Other names of the files
/// keep what they have, and so does a file that nobody may write.
///
/// # Errors
/// What stops it at a path, which the error names. Each file is whole; some may still be shared.
pub fn own(tree: &Path) -> Result<usize, TreeError> {
    let (giver, sharing, owned) = (Giver::this_process(), AtomicBool::new(true), AtomicUsize::new(0));
    share(vec![tree.to_owned()], MOST, |path, worker| {
        let (directories, handled) = directory(path, worker, &giver, (&sharing, &owned))?;
        worker.add(directories);
        Ok(handled)
    })?;
    Ok(owned.into_inner())
}

fn directory(
    path: PathBuf,
    worker: &Worker<PathBuf>,
    giver: &Giver,
    (sharing, owned): (&AtomicBool, &AtomicUsize),
) -> Result<(Vec<PathBuf>, usize), TreeError> {
    let directory = Directory::open(path)?;
    let names = directory.names()?;
    let mut writer = Writer::new(sharing);
    let mut directories = Vec::new();
    for name in &names {
        if is_aside(name) {
            directory.remove(name).map_err(|e| TreeError::new("remove", &directory.at(name), e))?;
            continue;
        }
        let found = directory.look(name).map_err(|e| TreeError::new("look at", &directory.at(name), e))?;
        match kind(&found) {
            SFlag::S_IFDIR => directories.push(directory.at(name)),
            SFlag::S_IFREG if found.st_nlink > 1 && mode(&found).intersects(WRITE) => {
                let written = replace((&directory, name, found), (giver, worker.number), |to| {
                    writer.copy((&directory, name, found), to).map(Some)
                });
                written.map_err(|e| TreeError::new("copy", &directory.at(name), e))?;
                owned.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        worker.check("copy", &directory.path)?;
    }
    Ok((directories, names.len()))
}

/// Lets a file share its blocks on the disk with another of the same content, where the file system can; whether it did.
/// The file is a new one afterwards, with the attributes of the old, and only read by whoever has the other.
///
/// # Errors
/// The old file stays.
pub fn share_blocks(path: &Path, other: &Path) -> Result<bool, TreeError> {
    let failed = |e| TreeError::new("share the blocks of", path, e);
    let place = |path: &Path| {
        let name = path.file_name().ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?.to_owned();
        let directory = Directory::open(path.parent().unwrap_or(Path::new("/")).to_owned())?;
        let found = directory.look(&name).map_err(failed)?;
        Ok::<_, TreeError>((directory, name, found))
    };
    let (own, twin) = (place(path)?, place(other)?);
    let sharing = AtomicBool::new(true);
    let mut writer = Writer::new(&sharing);
    let copy = |to: (&Directory, &OsStr, Mode)| {
        writer.copy((&twin.0, &twin.1, twin.2), to).map(|written| Some(written).filter(|written| written.shared))
    };
    replace((&own.0, &own.1, own.2), (&Giver::this_process(), 0), copy).map_err(failed)
}

/// Puts a new file in the place of one, with its attributes, unless `copy` makes none that serves; whether it did.
fn replace(
    (directory, name, found): (&Directory, &OsStr, FileStat),
    (giver, number): (&Giver, usize),
    copy: impl FnOnce((&Directory, &OsStr, Mode)) -> io::Result<Option<Written>>,
) -> io::Result<bool> {
    let aside = format!("{ASIDE}{number}");
    let aside = OsStr::new(&aside);
    directory.remove(aside)?;
    let written = copy((directory, aside, Mode::S_IRUSR | Mode::S_IWUSR)).and_then(|written| {
        let Some(Written { file, shared, .. }) = written else { return Ok(false) };
        Attributes::of(&found, giver).give(&file, &fstat(&file)?)?;
        // A power cut must not leave an empty file in the place of a whole one. What is shared is on the disk already.
        if !shared {
            file.sync_data()?;
        }
        renameat(directory, aside, directory, name)?;
        Ok(true)
    });
    if !matches!(written, Ok(true)) {
        // The first error is the one to report.
        drop(directory.remove(aside));
    }
    written
}
