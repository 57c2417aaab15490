//! What a unix socket says, without trusting it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest time that one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer, in bytes.
const LONGEST: usize = 16 << 20;

/// Connects, and reads until the other side closes.
///
/// # Errors
/// Nobody listens, the answer is too slow (2 s), or too long (16 MiB).
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    let deadline = Instant::now() + PATIENCE;
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Whether an error of [`read`] means that nobody is there, rather than somebody who is slow or whom this user may not
/// ask.
pub fn nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
