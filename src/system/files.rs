//! Files and links that readers see old or new, never half, also after a power cut.
//!
//! A file's content is on the disk before the rename that publishes it, and the rename before the function returns; so are
//! links, removals and new directories. What one call does thus never outlives what an earlier one did. Files that only
//! count once something else says so (all that the steps of a create make) are not synced one by one: `syncfs` of the build's
//! file system comes before the manifest that calls the build complete.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{geteuid, syncfs};

use crate::error::{Error, Result};

/// How many bytes of each file are compared at once.
const CHUNK: usize = 1 << 16;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everybody; the owner writes.
    Public,
    /// Everybody may run it.
    Program,
    /// Those of the group; the owner writes.
    Group,
    /// Nobody but the owner: it may hold secrets.
    Private,
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::Public => 0o644,
            Self::Program => 0o755,
            Self::Group => 0o640,
            Self::Private => 0o600,
        }
    }
}

/// Writes a file: a temporary one beside it, fsync, rename, fsync of the directory.
///
/// # Errors
/// The old content stays, or the new one is not known to be on the disk; no temporary file stays.
pub fn write(path: &Path, content: &[u8], mode: Mode) -> Result<()> {
    let temporary = beside(path);
    put(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_parent(path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .map_err(Error::io("write", path))
}

/// Writes a file only where it says something else; whether it did.
///
/// # Errors
/// As [`write`].
pub fn write_if_changed(path: &Path, content: &[u8], mode: Mode) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    write(path, content, mode).map(|()| true)
}

fn put(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode.bits()).open(path)?;
    // The mode at creation passes through the umask, and a file left by a killed process keeps its old one.
    file.set_permissions(Permissions::from_mode(mode.bits()))?;
    hand_over(path);
    file.write_all(content)?;
    sync(&file)
}

/// Points a link at a target: a temporary link beside it, then rename.
///
/// # Errors
/// The old link stays, or none where there was none, and no temporary one does.
pub fn link(target: &Path, path: &Path) -> Result<()> {
    let old = fs::read_link(path).ok();
    let put_back = || match &old {
        Some(old) => point(old, path),
        None => fs::remove_file(path),
    };
    point(target, path)
        .and_then(|()| sync_parent(path).inspect_err(|_| drop(put_back())))
        .map_err(Error::io("make the link", path))
}

fn point(target: &Path, path: &Path) -> io::Result<()> {
    let temporary = beside(path);
    drop(fs::remove_file(&temporary));
    symlink(target, &temporary)
        .map(|()| hand_over(&temporary))
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Makes `path` another name of the file `original`: a temporary name beside it, then rename. Not synced: whichever of the
/// two a power cut leaves is whole.
///
/// # Errors
/// What `path` named before stays, and no temporary name does.
pub fn share(original: &Path, path: &Path) -> Result<()> {
    let temporary = path.with_file_name(SHARING);
    drop(fs::remove_file(&temporary));
    let shared = fs::hard_link(original, &temporary).and_then(|()| fs::rename(&temporary, path));
    // A rename to another name of the same file does nothing, and leaves both.
    drop(fs::remove_file(&temporary));
    shared.map_err(Error::io("link", path))
}

/// Gives a directory another name in the same directory, which nothing has.
///
/// # Errors
/// It keeps its name.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .and_then(|()| sync_parent(to).inspect_err(|_| drop(fs::rename(to, from))))
        .map_err(Error::io("rename", from))
}

/// Removes a file or link; whether there was one.
///
/// # Errors
/// It is still there.
pub fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("remove", path)(error)),
    }
    // uWSGI may have acted on it already, and would take a link that is put back for a new one.
    if let Err(error) = sync_parent(path) {
        tracing::warn!("{} is removed, and may be back after a power cut: {error}", path.display());
    }
    Ok(true)
}

/// Makes a directory and those above it, where they are missing.
///
/// # Errors
/// It is not there.
pub fn directory(path: &Path) -> Result<()> {
    let mut missing: Vec<&Path> = path.ancestors().take_while(|place| !place.exists()).collect();
    missing.reverse();
    missing
        .into_iter()
        .try_for_each(|place| fs::create_dir_all(place).map(|()| hand_over(place)).and_then(|()| sync_parent(place)))
        .map_err(Error::io("make the directory", path))
}

/// Makes a directory that is closed to other users but, for sockets that nginx must reach, to the group.
///
/// # Errors
/// It is not there, or not closed.
pub fn private_directory(path: &Path, mode: u32) -> Result<()> {
    directory(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::io("close to other users", path))
}

thread_local! {
    /// Whether what this thread writes is synced by somebody else.
    static TOGETHER: Cell<bool> = const { Cell::new(false) };
}

/// Does work in this thread whose files count only once something else says so, after [`sync_all`]: until then none of
/// them is synced by itself, each of which would hold up whoever else writes.
pub fn together<T>(work: impl FnOnce() -> T) -> T {
    let before = TOGETHER.replace(true);
    let done = work();
    TOGETHER.set(before);
    done
}

fn sync(file: &File) -> io::Result<()> {
    if TOGETHER.get() { Ok(()) } else { file.sync_all() }
}

/// Returns when all that the file system of a directory has been given so far is on the disk.
///
/// # Errors
/// Some of it is not.
pub fn sync_all(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|opened| Ok(syncfs(&opened)?)).map_err(Error::io("write to the disk", directory))
}

/// Opens a file to append to it, as a log; it is made where there is none, for the owner and the group.
///
/// # Errors
/// It cannot be made or written.
pub fn append(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(Mode::Group.bits()).open(path)?;
    hand_over(path);
    Ok(file)
}

/// Gives what root has made to the owner of its directory, who could not go on with it otherwise. Where the file system
/// refuses it, what was to be done is done all the same, and `builds doctor` finds the file.
fn hand_over(path: &Path) {
    if !geteuid().is_root() {
        return;
    }
    if let (Ok(own), Ok(directory)) =
        (fs::symlink_metadata(path), fs::metadata(path.parent().unwrap_or(Path::new("/"))))
        && own.uid() == 0
        && directory.uid() != 0
    {
        lchown(path, Some(directory.uid()), Some(directory.gid())).ok();
    }
}

/// The text of a file, or `None` where there is none.
///
/// # Errors
/// It is there and cannot be read as text.
pub fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Whether two files hold the same bytes, of which no more than some are in memory at once.
///
/// # Errors
/// One cannot be read.
pub fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let [one, other] = [File::open(one)?, File::open(other)?];
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::with_capacity(CHUNK, one), BufReader::with_capacity(CHUNK, other));
    loop {
        let (first, second) = (one.fill_buf()?, other.fill_buf()?);
        let count = first.len().min(second.len());
        if count == 0 {
            return Ok(first.len() == second.len());
        }
        if first[..count] != second[..count] {
            return Ok(false);
        }
        one.consume(count);
        other.consume(count);
    }
}

/// Whether an error is that of a disk, or of a share of it, without room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether something has this name, be it a link that leads nowhere.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The length of a file in bytes; 0 where there is none.
pub fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// Since when a file or link is as it is, in seconds since 1970; now where there is none.
pub fn since(path: &Path) -> u64 {
    let modified = fs::symlink_metadata(path).and_then(|data| data.modified()).ok();
    modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or_else(now, |since| since.as_secs())
}

/// The time now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What is being linked into an archive has this name.
pub const SHARING: &str = ".builds-share~";

/// The end of the names of temporary files, behind the id of the process that writes one.
const TEMPORARY: &str = ".builds.tmp";

/// Removes the temporary files that killed processes have left in some directories.
pub fn sweep(directories: &[PathBuf]) {
    for entry in directories.iter().flat_map(fs::read_dir).flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_left) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Whether it is the name of a temporary file of a process that has ended.
pub fn is_left(name: &str) -> bool {
    let writer = name.strip_suffix(TEMPORARY).and_then(|name| name.strip_prefix('.')?.rsplit_once('.'));
    writer.and_then(|(_, pid)| pid.parse::<u32>().ok()).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// A hidden name in the same directory, this process's own.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}{TEMPORARY}", std::process::id()));
    path.with_file_name(name)
}

/// Makes a rename or removal survive a power cut.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    sync(&File::open(path.parent().unwrap_or(Path::new("/")))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tree::scratch::Scratch;

    #[test]
    fn files_are_compared_to_their_ends() {
        let place = Scratch::new();
        let long = vec![7; 3 * CHUNK];
        let one = place.write("one", &long);
        let differs = |name: &str, content: &[u8]| !same_content(&one, &place.write(name, content)).unwrap();
        assert!(!differs("same", &long));
        assert!(differs("shorter", &long[1..]) && differs("longer", &[&long[..], &[7]].concat()));
        assert!(differs("other", &[&long[1..], &[8]].concat()) && differs("none", &[]));
        assert!(same_content(&place.write("empty", []), &place.write("none", [])).unwrap());
        assert!(same_content(&one, &place.join("missing")).is_err());
    }

    #[test]
    fn only_temporary_files_of_dead_processes_are_left() {
        let dead = u32::MAX;
        assert!(
            is_left(&format!(".vassal.ini.{dead}.builds.tmp")) && is_left(&format!("..DEPLOY_TAG.{dead}.builds.tmp"))
        );
        assert!(!is_left(&beside(Path::new("/x/build.json")).file_name().unwrap().to_string_lossy()));
        for other in ["vassal.ini", ".notes.tmp", &format!(".notes.{dead}.tmp"), ".notes.md.builds.tmp"] {
            assert!(!is_left(other), "{other}");
        }
    }
}
