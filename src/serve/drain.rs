//! Letting workers finish: none of their requests is cut, and none that waits at their socket is left.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;

use super::{Trouble, stats};
use crate::error::{Error, Result};
use crate::model::name::BuildName;
use crate::model::observed::Worker;
use crate::model::slot::SlotPaths;
use crate::system::files::{self, Mode};
use crate::system::{procfs, socket, wait};

/// How long a worker may be idle after the master was told to pause before it is told again.
pub(super) const PAUSE_REPLY: Duration = Duration::from_secs(1);

/// What becomes of a request that comes when the workers have paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It waits at the socket for the next workers.
    Held,
    /// No other workers will ever listen there: these must answer it.
    Answered,
}

/// Lets all workers pause, once none has a request and none waits for one. A swap sends no more, and whoever came before it
/// must not wait for workers that never come. To pause is a signal, at which uWSGI cuts an answer that it is sending.
///
/// # Errors
/// Requests do not end within `patience`; the workers then take requests again.
pub fn drain(name: BuildName, paths: &SlotPaths, late: Late, patience: Duration) -> Result<()> {
    // There already, it tells of workers that an earlier drain may have paused.
    let known = files::exists(&paths.draining());
    let forget = || if known { Ok(false) } else { files::remove(&paths.draining()) };
    mark(paths, known)?;
    let mut told: Option<Instant> = None;
    let mut pausing = false;
    let mut probe = None;
    let mut quiet = 0;
    let drained = wait::until(&[], patience, || {
        // Nobody there to answer means nobody there to drain.
        let Ok(workers) = stats::workers(&paths.stats()) else {
            // Whoever waits for them is answered by those that the emperor starts in their place.
            let deserted = late == Late::Answered && waiting(&paths.socket()) > 0;
            return Ok((stats::silent(&paths.stats()) && !deserted).then_some(()));
        };
        let started = workers.iter().filter(|worker| worker.started());
        let may_tell = told.is_none_or(|at: Instant| at.elapsed() > PAUSE_REPLY);
        let left_alone = started.clone().all(Worker::paused) && is_left_alone(&paths.socket(), &mut probe);
        let waiting = waiting(&paths.socket());
        if left_alone && (late == Late::Held || waiting <= usize::from(probe.as_ref().is_some_and(Probe::waits))) {
            quiet += 1;
            return Ok((quiet > 1).then_some(()));
        }
        quiet = 0;
        // The command toggles, and a drain that was killed may have sent it before. A paused worker is proof that the
        // master has it; workers that stay idle are proof that it has not.
        let paused = started.clone().any(|worker| worker.status == "pause");
        let busy = started.clone().any(|worker| worker.in_request > 0) || waiting > 0;
        if may_tell && (left_alone || !paused && !busy) {
            tell(&paths.fifo(), b"p")?;
            told = Some(Instant::now());
            pausing = !pausing;
        }
        Ok::<_, Error>(None)
    });
    if let Ok(Some(())) = drained {
        return Ok(());
    }
    if pausing {
        resume(paths)?
    } else {
        _ = forget()?
    }
    drained?;
    let busy: usize = stats::workers(&paths.stats())?.iter().map(|worker| worker.in_request as usize).sum();
    let connections = procfs::connections(&paths.socket());
    let left = busy.max(connections.taken) + connections.waiting;
    let again = if late == Late::Held { "deactivate" } else { "activate" };
    Err(Trouble::NotDrained { name, left, after: patience, again: format!("{again} {name}"), link: paths.ini() }.into())
}

/// Notes that workers are told to pause, should this command be killed.
pub(super) fn mark(paths: &SlotPaths, known: bool) -> Result<()> {
    match files::write(&paths.draining(), b"", Mode::Public) {
        // Only a drain that is killed needs the mark, and an rm may be what makes room.
        Err(Error::Io { source, .. }) if files::is_full(&source) => Ok(()),
        written => written.inspect_err(|_| _ = known || files::remove(&paths.draining()).is_ok()),
    }
}

/// How many connections wait for workers. Where the name of their socket has gone to another one, those that wait there
/// are not theirs.
fn waiting(socket: &Path) -> usize {
    let connections = procfs::connections(socket);
    if connections.listeners > 1 { 0 } else { connections.waiting }
}

/// Lets paused workers take requests again.
///
/// # Errors
/// Their master does not listen, or the mark of the drain cannot be removed.
pub fn resume(paths: &SlotPaths) -> Result<()> {
    tell(&paths.fifo(), b"p")?;
    files::remove(&paths.draining()).map(drop)
}

/// Whether nobody holds a connection of a socket, nor takes one that waits there.
///
/// A worker that has just taken one looks paused, for it has not counted it yet. Of a worker's threads the signal wakes
/// only one: each other one pauses after one more connection, so where none waits an empty one is sent, a probe. Where the
/// name of the socket has gone to another one, nobody comes any more.
fn is_left_alone(socket: &Path, probe: &mut Option<Probe>) -> bool {
    let connections = procfs::connections(socket);
    if connections.listeners > 1 {
        return true;
    }
    let mut lacks = connections.listeners == 1 && connections.waiting == 0;
    if lacks {
        *probe = Probe::send(socket).ok();
        // Where not even that arrives, the socket has lost its name, and nobody comes any more.
        lacks = probe.is_some();
    }
    connections.taken == 0 && !lacks
}

/// A connection that asks for nothing.
struct Probe(UnixStream);

impl Probe {
    fn send(socket: &Path) -> io::Result<Self> {
        let stream = socket::reach(socket)?;
        stream.set_nonblocking(true)?;
        stream.shutdown(Shutdown::Write)?;
        Ok(Self(stream))
    }

    /// Whether nobody has taken it: a worker would have seen that nothing comes, and closed it.
    fn waits(&self) -> bool {
        (&self.0).read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Writes a command to a master's fifo. Without a reader it fails instead of waiting for one.
pub(super) fn tell(fifo: &Path, command: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(fifo)
        .and_then(|mut fifo| fifo.write_all(command))
        .map_err(Error::io("write to", fifo))
}
