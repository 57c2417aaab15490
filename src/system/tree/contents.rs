use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use rustix::fs::ioctl_ficlone;

use super::directory::{Directory, kind, mtime, size};

/// How often a file is read again that changes under the reader's hands.
const ATTEMPTS: usize = 3;

/// What is smaller goes through a buffer of this many bytes, which takes the kernel less than `copy_file_range`.
const SMALL: usize = 64 << 10;

/// A file that has got its content.
pub(super) struct Written {
    pub(super) file: File,
    /// The state of the source that it is a copy of.
    pub(super) source: FileStat,
    /// Whether it has its blocks from the source.
    pub(super) shared: bool,
}

/// Writes contents of files, for one thread.
pub(super) struct Writer<'a> {
    /// Empty until it is needed.
    buffer: Vec<u8>,
    /// Whether blocks may be shared, for all that anybody knows.
    sharing: &'a AtomicBool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(sharing: &'a AtomicBool) -> Self {
        Self { buffer: Vec::new(), sharing }
    }

    /// Copies the content of `name`, which was `found`, into a new file `aside` that is given the permissions `mode`.
    /// That file may be there after an error, too.
    ///
    /// # Errors
    /// The file has vanished, cannot be read, or changes each time it is read.
    pub(super) fn copy(
        &mut self,
        (from, name, found): (&Directory, &OsStr, FileStat),
        (to, aside, mode): (&Directory, &OsStr, Mode),
    ) -> io::Result<Written> {
        let mut before = found;
        for _ in 0..ATTEMPTS {
            let mut reader = open(from, name)?;
            let mut file = create(to, aside, mode)?;
            let shared = self.share(&reader, &file, &before);
            let length = if shared { size(&before) } else { self.pour(&mut reader, &mut file, &before)? };
            let after = fstat(&reader)?;
            let same = |one: &FileStat, other: &FileStat| {
                (one.st_dev, one.st_ino, one.st_size, mtime(one))
                    == (other.st_dev, other.st_ino, other.st_size, mtime(other))
            };
            if same(&before, &after) && length == size(&after) {
                return Ok(Written { file, source: after, shared });
            }
            to.remove(aside)?;
            before = from.look(name)?;
            if kind(&before) != SFlag::S_IFREG {
                break;
            }
        }
        Err(io::Error::new(ErrorKind::InvalidData, "it changes while it is being copied"))
    }

    fn share(&self, reader: &File, file: &File, found: &FileStat) -> bool {
        if found.st_size == 0 || !self.sharing.load(Ordering::Relaxed) {
            return false;
        }
        let shared = ioctl_ficlone(file, reader);
        if shared.is_err_and(|e| e == rustix::io::Errno::OPNOTSUPP) {
            self.sharing.store(false, Ordering::Relaxed);
        }
        shared.is_ok()
    }

    /// Copies what there is to read, and returns how many bytes that was.
    fn pour(&mut self, reader: &mut File, file: &mut File, found: &FileStat) -> io::Result<u64> {
        if size(found) >= SMALL as u64 {
            return io::copy(reader, file);
        }
        self.buffer.resize(SMALL, 0);
        let mut filled = 0;
        loop {
            match reader.read(&mut self.buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            // There was room for more, so this is its end.
            if filled as u64 == size(found) {
                break;
            }
        }
        file.write_all(&self.buffer[..filled])?;
        Ok(filled as u64)
    }
}

/// Opens a file to be read. A link or FIFO that has just taken its place must neither be followed nor block.
fn open(directory: &Directory, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(File::from(openat(directory, name, flags, Mode::empty())?))
}

/// Makes a new file to be written.
fn create(directory: &Directory, name: &OsStr, mode: Mode) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(directory, name, flags, mode)?))
}
