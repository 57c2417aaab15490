//! A build's zerg: the workers that answer its requests.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;

use super::emperor::Emperor;
use super::{Trouble, import, stats};
use crate::error::{Error, Result};
use crate::model::name::BuildName;
use crate::model::observed::{State, Worker};
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::{process, procfs, wait};

/// How long a worker may be idle after the master was told to pause before it is told again.
const PAUSE_REPLY: Duration = Duration::from_secs(1);

/// The start of a worker that is one too many while none has loaded.
const DEATHS: u32 = 3;

/// Starts a build's workers and returns them when all have loaded the application.
///
/// # Errors
/// The application does not load, or not in time: its traceback is in the error. The build is inactive again, unless it
/// has a role: requests that wait for a live build are better off with an emperor that goes on trying.
pub fn start(site: &Site, name: BuildName) -> Result<Vec<Worker>> {
    let paths = site.layout.build(name);
    Emperor::Zergs.check(site)?;
    let (log, said_before) = (site.layout.error_log(name), files::length(&site.layout.error_log(name)));
    if files::exists(&paths.draining()) {
        // Nobody knows how far a killed drain came, so what it left is replaced.
        stop(site, name)?;
    }
    let fresh = !files::exists(&paths.zerg_ini());
    if fresh {
        files::link(Path::new("../../conf/zerg.skel"), &paths.zerg_ini())?;
    }
    let patience = site.config.uwsgi.start_timeout;
    let mut first_master = None;
    let end = wait::until(&[&paths.run()], patience, || {
        let master = Emperor::Zergs.instance(site, name)?;
        // A zerg that ends before it is ready could not load the application; the emperor only tries again.
        if first_master.is_some() && master != first_master {
            return Ok(Some(Start::Died));
        }
        first_master = master;
        let build = site.observe(name)?;
        if fresh && build.workers.as_deref().is_some_and(die_while_loading) {
            return Ok(Some(Start::Died));
        }
        let ready = build.state() >= State::Ready;
        Ok::<_, Error>(build.workers.filter(|_| ready).map(Start::Ready))
    });
    let (died, problem) = match end {
        Ok(Some(Start::Ready(workers))) => return Ok(workers),
        Ok(Some(Start::Died)) => (true, "the application does not load".to_owned()),
        Ok(None) => (false, format!("its workers did not load the application within {} s", patience.as_secs())),
        Err(error) => {
            give_up(site, name)?;
            return Err(error);
        }
    };
    give_up(site, name)?;
    let logged = || match evidence(&process::tail_of(&log, said_before)) {
        silence if silence.is_empty() => "it said nothing; see the output of the emperor, or of builds up".into(),
        said => said,
    };
    let silent = files::length(&log) <= said_before;
    let manifest = if died { site.manifest(name)? } else { None };
    Err(Error::Unhealthy {
        name,
        problem,
        evidence: manifest.and_then(|manifest| import::traceback(site, &manifest)).unwrap_or_else(logged),
        // uWSGI opens the log after it has read its configuration.
        next: match silent {
            true => "builds doctor shows what was changed in conf/, which uWSGI may refuse".into(),
            false => format!("mend it in the source and create a new build; the whole log is {}", log.display()),
        },
    })
}

/// Takes a start back.
fn give_up(site: &Site, name: BuildName) -> Result<()> {
    if site.names()?.role(name).is_none() {
        files::remove(&site.layout.build(name).zerg_ini())?;
        Emperor::Zergs.wait_gone(site, name)?;
    }
    Ok(())
}

/// Whether workers end again and again before one has loaded the application, by `sys.exit` for one. uWSGI gives up only
/// after exceptions.
fn die_while_loading(workers: &[Worker]) -> bool {
    workers.iter().all(|worker| !worker.loaded) && workers.iter().any(|worker| worker.spawns >= DEATHS)
}

/// How a start ends.
enum Start {
    Ready(Vec<Worker>),
    Died,
}

/// Stops a build's workers without cutting a request; whether it had any.
///
/// The workers finish what they have and what waits at the socket, and pause; requests that come now wait in the vassal's
/// backlog; then the link goes, which ends the zerg at once.
///
/// # Errors
/// Requests do not end in time; the workers then take requests again.
pub fn stop(site: &Site, name: BuildName) -> Result<bool> {
    let link = site.layout.build(name).zerg_ini();
    if files::exists(&link) {
        drain(site, name)?;
    }
    let removed = files::remove(&link)?;
    Emperor::Zergs.wait_gone(site, name)?;
    files::remove(&site.layout.build(name).draining())?;
    Ok(removed)
}

/// Lets all workers pause, once none has a request and none waits for one. A swap sends no more, and whoever came before it
/// must not wait for workers that never come. To pause is a signal, at which uWSGI cuts an answer that it is sending.
fn drain(site: &Site, name: BuildName) -> Result<()> {
    let paths = site.layout.build(name);
    let patience = site.config.uwsgi.drain_timeout;
    files::write(&paths.draining(), b"", Mode::Public)?;
    let mut told: Option<Instant> = None;
    let mut quiet = 0;
    let drained = wait::until(&[], patience, || {
        // Nobody there to answer means nobody there to drain.
        let Ok(workers) = stats::workers(&paths.zerg_stats()) else {
            return Ok(stats::silent(&paths.zerg_stats()).then_some(()));
        };
        let started = workers.iter().filter(|worker| worker.started());
        if started.clone().all(Worker::paused) && is_left_alone(&paths.web_socket()) {
            quiet += 1;
            return Ok((quiet > 1).then_some(()));
        }
        quiet = 0;
        // The command toggles, and a drain that was killed may have sent it before. A paused worker is proof that the
        // master has it; workers that stay idle are proof that it has not.
        let paused = started.clone().any(|worker| worker.status == "pause");
        let waiting = procfs::connections(&paths.web_socket()).waiting;
        let busy = started.clone().any(|worker| worker.in_request > 0) || waiting > 0;
        if !paused && !busy && told.is_none_or(|at: Instant| at.elapsed() > PAUSE_REPLY) {
            tell(&paths.zerg_fifo(), b"p")?;
            told = Some(Instant::now());
        }
        Ok::<_, Error>(None)
    })?;
    if drained.is_some() {
        return Ok(());
    }
    if told.is_some() {
        tell(&paths.zerg_fifo(), b"p")?;
    }
    files::remove(&paths.draining())?;
    let busy: usize = stats::workers(&paths.zerg_stats())?.iter().map(|worker| worker.in_request as usize).sum();
    let left = busy + procfs::connections(&paths.web_socket()).waiting;
    Err(Trouble::NotDrained { name, left, after: patience }.into())
}

/// Whether nobody holds a connection of a socket, nor takes one that waits there.
///
/// A worker that has just taken one looks paused, for it has not counted it yet. Of a worker's threads the signal wakes
/// only one: each other one pauses after one more connection, so where none waits an empty one is sent.
fn is_left_alone(socket: &Path) -> bool {
    let connections = procfs::connections(socket);
    let lacks = connections.listeners > 0 && connections.waiting == 0;
    if lacks {
        drop(UnixStream::connect(socket));
    }
    connections.taken == 0 && !lacks
}

/// Writes a command to a master's fifo. Without a reader it fails instead of waiting for one.
fn tell(fifo: &Path, command: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(fifo)
        .and_then(|mut fifo| fifo.write_all(command))
        .map_err(Error::io("write to", fifo))
}

/// The last traceback of a log that tells why, or the log where there is none. When a worker fails, the master interrupts
/// the others, and their tracebacks come later and only tell that.
fn evidence(log: &str) -> String {
    const START: &str = "Traceback (most recent call last)";
    let starts = || log.match_indices(START).map(|(start, _)| traceback(&log[start..]));
    let telling = starts().filter(|traceback| !traceback.ends_with("KeyboardInterrupt")).last();
    telling.or_else(|| starts().last()).unwrap_or_else(|| log.to_owned())
}

/// The traceback at the start of a log.
fn traceback(log: &str) -> String {
    // After the heading, the first line that is not indented is the exception itself.
    let exception = log.lines().skip(1).position(|line| !line.starts_with(' '));
    log.lines().take(exception.map_or(usize::MAX, |at| at + 2)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traceback_is_found_in_the_log() {
        let log = "spawned\nTraceback (most recent call last):\n  File \"wsgi.py\"\n    import x\n\
                   ModuleNotFoundError: No module named 'x'\nunable to load app 0\nGAME OVER";
        let expected = "Traceback (most recent call last):\n  File \"wsgi.py\"\n    import x\n\
                        ModuleNotFoundError: No module named 'x'";
        assert_eq!(evidence(log), expected);
        assert_eq!(evidence("no python here"), "no python here");
        let interrupted = "Traceback (most recent call last):\n  File \"wsgi.py\"\nKeyboardInterrupt";
        assert_eq!(evidence(&format!("{log}\n{interrupted}\nGAME OVER")), expected);
        assert_eq!(evidence(interrupted), interrupted);
    }
}
