//! A file to which several processes append lines, and that is put aside when it is full.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::files;
use crate::error::{Error, Result};

/// Appends a text, which `text` makes of the last byte that is there, by one call, and returns how long the file is then.
/// Others may append at the same time: the kernel puts each text behind the other.
///
/// # Errors
/// It is not known to be on the disk; a part of it may be.
pub fn append(path: &Path, text: impl FnOnce(Option<u8>) -> String) -> Result<u64> {
    let appended = || -> io::Result<u64> {
        let mut file = files::append(path)?;
        let mut last = [0];
        let length = file.metadata()?.len();
        let last = match length {
            0 => None,
            _ => {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last).ok().map(|()| last[0])
            }
        };
        let text = text(last);
        if file.write(text.as_bytes())? < text.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.sync_data()?;
        if length == 0 {
            files::sync_parent(path)?;
        }
        file.metadata().map(|data| data.len())
    };
    appended().map_err(Error::io("append to", path))
}

/// Puts a full file aside, and begins a new one with `start`. A line that somebody appends meanwhile is in one of the two.
/// The caller sees to it that nobody else does the same.
///
/// # Errors
/// The file goes on as it is; or it is aside already, and all of it is in its own place, too.
pub fn turn(path: &Path, aside: &Path, start: &str) -> Result<()> {
    files::share(path, aside)?;
    files::write(path, start.as_bytes(), files::Mode::Group)
}
