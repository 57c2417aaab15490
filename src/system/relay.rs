//! Connections that wait at one socket, passed on to another.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with};

use super::signals::Interrupted;
use super::{socket, wait};

/// How many are under way at a time: fewer than may wait at the other socket beside its own.
const AT_ONCE: usize = 32;

/// How long nobody may have come before there is nobody left. Whoever has looked up the way here a moment ago still comes.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// How long the other socket may be too full to take one more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Passes each connection that waits at `listener` on to whoever listens at `to`, until none is left; how many there were.
/// The caller is the only one who takes connections there.
pub fn relay(listener: &OwnedFd, to: &Path) -> usize {
    let (turn, over, count) = (Mutex::new(()), AtomicBool::new(false), AtomicUsize::new(0));
    // Only one looks at a time: an accept would wait for ever for what another one has taken.
    let next = || {
        let _turn = turn.lock();
        let next = (!over.load(Ordering::Relaxed)).then(|| take(listener)).flatten();
        over.store(next.is_none(), Ordering::Relaxed);
        next
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(front) = next() {
                    count.fetch_add(1, Ordering::Relaxed);
                    if let Err(error) = pass(&front, to) {
                        tracing::warn!("a request that was held is lost: {error}");
                    }
                }
            });
        }
    });
    count.into_inner()
}

/// The next connection, if one comes.
fn take(listener: &OwnedFd) -> Option<UnixStream> {
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut ready, Some(&QUIET)) {
        Ok(1..) => accept_with(listener, SocketFlags::CLOEXEC).ok().map(UnixStream::from),
        _ => None,
    }
}

/// Passes on what both sides say, until the one behind has ended.
fn pass(front: &UnixStream, to: &Path) -> io::Result<()> {
    let back = wait::until::<_, Interrupted>(&[], PATIENCE, || Ok(socket::reach(to).ok()));
    let back = back.ok().flatten().map_or_else(|| socket::reach(to), Ok)?;
    // What was set to give the connection up in time would also give up a slow answer.
    back.set_write_timeout(None)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(io::copy(&mut &*front, &mut &back));
            back.shutdown(Shutdown::Write)
        });
        let said = io::copy(&mut &back, &mut &*front).map(drop);
        // Also ends the wait for what the client has to say.
        drop(front.shutdown(Shutdown::Both));
        // One that has not waited for its answer is no loss.
        said.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::system::tree::scratch::Scratch;

    #[test]
    fn what_waits_is_answered_by_the_other_side() {
        let directory = Scratch::new();
        let (held, web) = (directory.join("held.sock"), directory.join("web.sock"));
        let (listener, behind) = (UnixListener::bind(&held).unwrap(), UnixListener::bind(&web).unwrap());
        let answers = std::thread::spawn(move || {
            for _ in 0..100 {
                let (mut stream, _) = behind.accept().unwrap();
                std::thread::spawn(move || {
                    let mut said = [0; 100_000];
                    stream.read_exact(&mut said).unwrap();
                    stream.write_all(&said).unwrap();
                });
            }
        });
        let clients: Vec<_> = (0..100_u8)
            .map(|number| {
                let mut stream = UnixStream::connect(&held).unwrap();
                std::thread::spawn(move || {
                    stream.write_all(&[number; 100_000]).unwrap();
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).unwrap();
                    assert!(answer.len() == 100_000 && answer.iter().all(|&byte| byte == number));
                })
            })
            .collect();
        assert_eq!(relay(&OwnedFd::from(listener), &web), 100);
        clients.into_iter().for_each(|client| client.join().unwrap());
        answers.join().unwrap();
    }
}
