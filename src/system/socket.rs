//! What a unix socket says, without trusting it.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;

/// The longest time that one answer may take, the connection included.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer, in bytes. A parser may hold it twice.
const LONGEST: usize = 8 << 20;

/// The answer at a socket, as it comes. Reading it fails once it is too slow (2 s) or too long (8 MiB).
#[derive(Debug)]
pub struct Answer {
    stream: UnixStream,
    deadline: Instant,
    read: usize,
}

/// Connects to a socket.
///
/// # Errors
/// Nobody listens, or so many wait there already that it takes too long (2 s).
pub fn reach(path: &Path) -> io::Result<UnixStream> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Where nobody takes connections and no more may wait, the kernel would wait for ever.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(PATIENCE.as_secs() as i64, 0))?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Connects to a socket whose answer is to be read.
///
/// # Errors
/// As [`reach`].
pub fn ask(path: &Path) -> io::Result<Answer> {
    let deadline = Instant::now() + PATIENCE;
    Ok(Answer { stream: reach(path)?, deadline, read: 0 })
}

/// Connects, and reads all that is said.
///
/// # Errors
/// Nobody listens, or the answer is too slow or too long.
pub fn listen(path: &Path) -> io::Result<()> {
    io::copy(&mut ask(path)?, &mut io::sink()).map(drop)
}

impl Read for Answer {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // What has come while others were heard is not late.
            self.stream.set_nonblocking(true)?;
        } else {
            self.stream.set_read_timeout(Some(left))?;
        }
        let read = self.stream.read(piece).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
        self.read += read;
        if self.read > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(read) }
    }
}

/// Whether an error of [`reach`] means that nobody is there, rather than somebody who is slow or whom this user may not
/// ask.
pub fn nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::thread;

    use nix::sys::socket::Backlog;

    use super::*;

    fn at(name: &str) -> (PathBuf, UnixListener) {
        let path = std::env::temp_dir().join(format!("builds-socket-{name}-{}.sock", std::process::id()));
        drop(std::fs::remove_file(&path));
        let listener = UnixListener::bind(&path).unwrap();
        (path, listener)
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let (path, listener) = at("whole");
        let server = thread::spawn(move || listener.accept().unwrap().0.write_all(b"hello").unwrap());
        let mut text = String::new();
        ask(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        server.join().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(nobody(&listen(&path).unwrap_err()));
    }

    #[test]
    fn an_answer_without_an_end_is_given_up() {
        let (path, listener) = at("endless");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
        });
        // The slower of the two limits, on a machine that is busy.
        let kind = listen(&path).unwrap_err().kind();
        assert!(matches!(kind, io::ErrorKind::FileTooLarge | io::ErrorKind::TimedOut), "{kind}");
        server.join().unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn one_who_says_nothing_or_takes_nobody_is_given_up() {
        let (path, listener) = at("silent");
        assert_eq!(listen(&path).unwrap_err().kind(), io::ErrorKind::TimedOut);
        nix::sys::socket::listen(&listener, Backlog::new(1).unwrap()).unwrap();
        let waiting: Vec<_> = std::iter::from_fn(|| ask(&path).ok()).take(9).collect();
        assert!(waiting.len() < 9, "the backlog is full");
        let error = listen(&path).unwrap_err();
        assert!(!nobody(&error), "{error}");
        drop(listener);
        std::fs::remove_file(&path).unwrap();
    }
}
