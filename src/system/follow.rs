//! A log that others write: its end, read backwards, and what is added to it, also when it is rotated.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How much is read at a time, in bytes.
const BLOCK: usize = 64 << 10;

/// The longest line, in bytes; the rest of a longer one is left out. What a damaged file has for a line may be all of it.
const LONGEST: usize = 64 << 10;

/// A log that is followed by its name.
///
/// It does not wait: [`crate::system::wait::until`] does, with the log's directory to watch and [`Follower::lines`] as what
/// it asks.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    now: Option<Open>,
    /// The file that had the name before. Whoever writes may go on with it until told of the new one.
    before: Option<Open>,
}

/// A file, and how far it was read.
#[derive(Debug)]
struct Open {
    file: File,
    offset: u64,
    /// The start of a line whose end has not come yet.
    begun: Vec<u8>,
}

impl Follower {
    /// Gives each line that has been added since, without its end; how many there were. A last line without an end waits
    /// for it, or for the next file of this name.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn lines(&mut self, mut each: impl FnMut(&[u8])) -> Result<usize> {
        self.read(&mut each).map_err(Error::io("read", &self.path))
    }

    fn read(&mut self, each: &mut impl FnMut(&[u8])) -> io::Result<usize> {
        let mut count = 0;
        if let Some(before) = &mut self.before {
            count += before.read(each)?;
        }
        let replaced = match &self.now {
            Some(now) => now.is_replaced(&self.path),
            None => true,
        };
        if let Some(now) = &mut self.now {
            count += now.read(each)?;
        }
        if replaced && let Some(file) = open(&self.path)? {
            if let Some(mut old) = self.before.take() {
                count += old.finish(each);
            }
            self.before = self.now.replace(Open { file, offset: 0, begun: Vec::new() });
            if let Some(now) = &mut self.now {
                count += now.read(each)?;
            }
        }
        Ok(count)
    }
}

impl Open {
    /// Whether the name leads to another file by now.
    fn is_replaced(&self, path: &Path) -> bool {
        let id = |data: fs::Metadata| (data.dev(), data.ino());
        fs::metadata(path).is_ok_and(|data| self.file.metadata().is_ok_and(|own| id(own) != id(data)))
    }

    /// Gives all whole lines to the end of the file, and how many there were.
    fn read(&mut self, each: &mut impl FnMut(&[u8])) -> io::Result<usize> {
        if self.file.metadata()?.len() < self.offset {
            // It was copied, and made empty.
            self.offset = 0;
            self.begun.clear();
        }
        let mut count = 0;
        let mut block = vec![0; BLOCK];
        loop {
            let read = match self.file.read_at(&mut block, self.offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Ok(count);
            }
            self.offset += read as u64;
            for part in block[..read].split_inclusive(|&byte| byte == b'\n') {
                let (part, ends) = part.strip_suffix(b"\n").map_or((part, false), |part| (part, true));
                let room = LONGEST.saturating_sub(self.begun.len());
                self.begun.extend_from_slice(&part[..part.len().min(room)]);
                if ends {
                    each(&self.begun);
                    self.begun.clear();
                    count += 1;
                }
            }
        }
    }

    /// Gives the last line, which never got its end; how many.
    fn finish(&mut self, each: &mut impl FnMut(&[u8])) -> usize {
        if self.begun.is_empty() {
            return 0;
        }
        each(&self.begun);
        self.begun.clear();
        1
    }
}

/// Gives the lines of a log to `visit`, the last one first, until that returns false or there are none left; then follows
/// the log from its end. Of a large log it reads no more than that takes. A log that is not there has no lines yet.
///
/// # Errors
/// The log cannot be read.
pub fn backwards(path: &Path, visit: impl FnMut(&[u8]) -> bool) -> Result<Follower> {
    let now = match open(path) {
        Ok(Some(file)) => Some(from_end(file, visit)),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    };
    let now = now.transpose().map_err(Error::io("read", path))?;
    Ok(Follower { path: path.to_owned(), now, before: None })
}

fn from_end(file: File, mut visit: impl FnMut(&[u8]) -> bool) -> io::Result<Open> {
    let length = file.metadata()?.len();
    let (mut start, mut offset) = (length, length);
    // From `start` to the next end of a line; before the first one, to the end of the file.
    let mut line: Vec<u8> = Vec::new();
    let mut whole = false;
    while start > 0 {
        let from = start.saturating_sub(BLOCK as u64);
        let mut block = vec![0; (start - from) as usize];
        match file.read_exact_at(&mut block, from) {
            // It was made empty meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            read => read?,
        }
        while let Some(end) = block.iter().rposition(|&byte| byte == b'\n') {
            prepend(&block[end + 1..], &mut line);
            if !whole {
                (whole, offset) = (true, from + end as u64 + 1);
            } else if !visit(&line) {
                return Ok(Open { file, offset, begun: Vec::new() });
            }
            line.clear();
            block.truncate(end);
        }
        prepend(&block, &mut line);
        start = from;
    }
    if whole {
        visit(&line);
    } else {
        offset = 0;
    }
    Ok(Open { file, offset, begun: Vec::new() })
}

fn prepend(part: &[u8], line: &mut Vec<u8>) {
    line.splice(..0, part.iter().copied());
    line.truncate(LONGEST);
}

/// Opens a file; `None` where there is none.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
