//! Listening sockets that a process passes on to whoever asks, as uWSGI's zerg servers do.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{UnixAddr, getsockname};
use rustix::net::{self, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::socket;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// As many sockets as are taken. uWSGI's zergs take eight.
const MOST: usize = 16;

/// The sockets that a zerg server passes on.
///
/// # Errors
/// Nobody is there, or the answer takes too long (2 s).
pub fn sockets(server: &Path) -> io::Result<Vec<OwnedFd>> {
    let stream = socket::reach(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut greeting = [0; 64];
    net::recvmsg(&stream, &mut [IoSliceMut::new(&mut greeting)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok(rights.flatten().collect())
}

/// Whether a socket is bound to a path.
pub fn is_at(socket: &OwnedFd, path: &Path) -> bool {
    getsockname::<UnixAddr>(socket.as_raw_fd()).is_ok_and(|address| address.path() == Some(path))
}

/// Lets as many connections wait at a listening socket as the kernel allows: `net.core.somaxconn`, from now on.
///
/// # Errors
/// It does not listen.
pub fn deepen(socket: &OwnedFd) -> io::Result<()> {
    Ok(net::listen(socket, i32::MAX)?)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

    use super::*;
    use crate::system::tree::scratch::Scratch;

    #[test]
    fn sockets_that_are_passed_on_are_known_by_their_path_and_take_more_connections() {
        let directory = Scratch::new();
        let (server, web) = (directory.join("zerg.sock"), directory.join("web.sock"));
        let (listener, passed) = (UnixListener::bind(&server).unwrap(), UnixListener::bind(&web).unwrap());
        net::listen(&passed, 1).unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let fds = [passed.as_fd()];
            assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
            net::sendmsg(&stream, &[IoSlice::new(b"uwsgi-zerg....")], &mut control, SendFlags::empty()).unwrap();
        });
        let sockets = sockets(&server).unwrap();
        thread.join().unwrap();
        assert_eq!(sockets.len(), 1);
        assert!(is_at(&sockets[0], &web) && !is_at(&sockets[0], &server));
        deepen(&sockets[0]).unwrap();
        let waiting: Vec<_> = (0..50).map(|_| UnixStream::connect(&web).unwrap()).collect();
        drop(waiting);
    }
}
