//! A build's zerg: the workers that answer its requests.

use std::path::Path;
use std::time::{Duration, Instant};

use super::drain::{self, Late};
use super::drain_beside::drain_beside;
use super::emperor::Emperor;
use super::{canary, import, pause, stats, vassal};
use crate::error::{Error, Result};
use crate::model::canary::Canary;
use crate::model::name::BuildName;
use crate::model::observed::{Worker, all_ready};
use crate::model::slot::{Slot, SlotPaths};
use crate::model::words::count;
use crate::site::Site;
use crate::system::{files, process, signals, wait};

/// The start of a worker that is one too many while none has loaded.
const DEATHS: u32 = 3;

/// Workers of a build, and where they are.
struct Zerg<'a> {
    site: &'a Site,
    name: BuildName,
    place: Place,
    paths: SlotPaths,
}

/// Where workers take requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a slot of their own build.
    Own(Slot),
    /// In that of the live build, beside its own.
    Beside,
}

/// How long an emperor that was woken may take to notice a link.
const NOTICE: Duration = Duration::from_secs(10);

/// How a start ends.
enum Start {
    Ready(Vec<Worker>),
    Died,
}

/// Starts a build's workers and returns them when all have loaded the application.
///
/// # Errors
/// The application does not load, or not in time: its traceback is in the error. The build is inactive again, unless it
/// has a role: requests that wait for a live build are better off with an emperor that goes on trying.
pub fn start(site: &Site, name: BuildName) -> Result<Vec<Worker>> {
    Emperor::Zergs.check(site)?;
    let zerg = Zerg::current(site, name);
    if files::exists(&zerg.paths.draining()) {
        // Nobody knows how far a killed drain came, so what it left is replaced.
        zerg.stop()?;
    }
    let may_end = site.links().role(name).is_none();
    zerg.start(may_end)
}

/// Replaces a build's workers by new ones and returns these. No request waits for it: the new ones load beside the old
/// ones, each with a socket of its own; then the link that requests follow is moved; the old ones finish what they have.
///
/// # Errors
/// The application does not load: the old workers go on as before. Or the old ones do not finish in time: the new ones
/// serve, and the next command on this build ends the old ones.
pub fn replace(site: &Site, name: BuildName) -> Result<Vec<Worker>> {
    Emperor::Zergs.check(site)?;
    pause::spare(site, name)?;
    end_replaced(site, name)?;
    let old = Zerg::current(site, name);
    let slot = site.slot(name).other();
    let new = Zerg::new(site, name, slot);
    if let Some(why) = vassal::severed(&new.paths.socket()) {
        return Err(Error::Unmet {
            problem: format!("the workers of build {name} cannot change to their other socket"),
            cause: format!("{}: {why}", new.paths.socket().display()),
            next: format!("a new vassal makes both anew: make another build live, then builds stop {name}"),
        });
    }
    let workers = new.start(true)?;
    files::link(Path::new(slot.socket_name()), &site.layout.build(name).web_socket())?;
    tracing::info!("restart {name} is ready: {}; the old ones finish", count(started(&workers), "worker"));
    old.stop()?;
    Ok(workers)
}

/// Ends the workers that a restart has replaced and was killed before it ended them; whether there were any.
///
/// # Errors
/// Requests do not end in time.
pub fn end_replaced(site: &Site, name: BuildName) -> Result<bool> {
    Zerg::new(site, name, site.slot(name).other()).stop()
}

/// Starts the workers of a canary and returns them when all have loaded the application.
///
/// # Errors
/// The application does not load, or not in time: its traceback is in the error. They are gone again.
pub(super) fn start_canary(site: &Site, canary: &Canary) -> Result<Vec<Worker>> {
    Emperor::Zergs.check(site)?;
    Zerg::canary(site, canary).start(true)
}

/// Lets the workers of a canary finish, and ends them; whether there were any.
///
/// # Errors
/// Requests do not end in time, or the link cannot be removed; the workers then take requests again.
pub(super) fn stop_canary(site: &Site, canary: &Canary) -> Result<bool> {
    Zerg::canary(site, canary).stop()
}

/// Stops a build's workers without cutting a request; whether it had any.
///
/// # Errors
/// Requests do not end in time, or the link cannot be removed; the workers then take requests again. Or its requests are
/// held.
pub fn stop(site: &Site, name: BuildName) -> Result<bool> {
    pause::spare(site, name)?;
    let replaced = end_replaced(site, name)?;
    Ok(Zerg::current(site, name).stop()? || replaced)
}

/// Ends a build's workers with whatever they work on, which must be nobody's.
///
/// # Errors
/// The link cannot be removed, or the emperor does not end them.
pub fn cut(site: &Site, name: BuildName) -> Result<()> {
    Zerg::new(site, name, site.slot(name).other()).remove()?;
    Zerg::current(site, name).remove().map(drop)
}

/// How many of these workers uWSGI has started.
pub fn started(workers: &[Worker]) -> usize {
    workers.iter().filter(|worker| worker.started()).count()
}

impl<'a> Zerg<'a> {
    fn new(site: &'a Site, name: BuildName, slot: Slot) -> Self {
        Self { site, name, place: Place::Own(slot), paths: site.layout.build(name).slot(slot) }
    }

    fn canary(site: &'a Site, canary: &Canary) -> Self {
        Self { site, name: canary.name, place: Place::Beside, paths: site.canary_paths(canary) }
    }

    /// The workers to which requests go.
    fn current(site: &'a Site, name: BuildName) -> Self {
        Self::new(site, name, site.slot(name))
    }

    /// Starts the workers and waits until all are ready. Without success they are gone again where they `may_end`.
    fn start(&self, may_end: bool) -> Result<Vec<Worker>> {
        let log = self.site.layout.error_log(self.name);
        let said_before = files::length(&log);
        let fresh = !files::exists(&self.paths.ini());
        if fresh {
            let skeleton = match self.place {
                Place::Own(_) => "../../conf/zerg.skel",
                Place::Beside => "../../conf/canary.skel",
            };
            // One that was just ended by a command that was killed then: the emperor would take the new link for a change.
            Emperor::Zergs.wait_gone(self.site, self.name, &self.paths.ini(), &self.paths.stats())?;
            files::link(Path::new(skeleton), &self.paths.ini())?;
        }
        let end = self.await_start(fresh);
        if let Ok(Some(Start::Ready(workers))) = end {
            return Ok(workers);
        }
        if may_end {
            // Those that were there before may have requests, and may be past answering any.
            signals::shielded(|| if fresh { self.remove() } else { self.stop().or_else(|_| self.remove()) })?;
        }
        Err(self.failure(end?.is_some(), &log, said_before)?)
    }

    fn await_start(&self, fresh: bool) -> Result<Option<Start>> {
        let began = Instant::now();
        let mut first_master = None;
        wait::until(&[&self.site.layout.build(self.name).run()], self.site.config.uwsgi.start_timeout, || {
            let master = Emperor::Zergs.instance(self.site, &self.paths.ini())?;
            // A zerg that ends before it is ready could not load the application; the emperor only tries again.
            if first_master.is_some() && master != first_master {
                return Ok(Some(Start::Died));
            }
            if self.place == Place::Beside && master.is_none() && began.elapsed() > NOTICE {
                return Err(canary::overlooked(self.site));
            }
            first_master = master;
            let workers = stats::workers(&self.paths.stats()).unwrap_or_default();
            if fresh && die_while_loading(&workers) {
                return Ok(Some(Start::Died));
            }
            Ok(all_ready(&workers).then_some(Start::Ready(workers)))
        })
    }

    /// Why the workers did not start, as far as the log, or one more import, can tell.
    fn failure(&self, died: bool, log: &Path, said_before: u64) -> Result<Error> {
        let logged = || match evidence(&process::tail_of(log, said_before)) {
            silence if silence.is_empty() => "it said nothing; see the output of the emperor, or of builds up".into(),
            said => said,
        };
        let seconds = self.site.config.uwsgi.start_timeout.as_secs();
        let manifest = if died { self.site.manifest(self.name)? } else { None };
        let evidence = manifest.and_then(|manifest| import::traceback(self.site, &manifest)).unwrap_or_else(logged);
        Ok(Error::Unhealthy {
            name: self.name,
            problem: match died {
                true => "the application does not load".into(),
                false => format!("its workers did not load the application within {seconds} s"),
            },
            evidence,
            // uWSGI opens the log after it has read its configuration.
            next: match files::length(log) <= said_before {
                true => "builds doctor shows what was changed in conf/, which uWSGI may refuse".into(),
                false => format!("mend it in the source and create a new build; the whole log is {}", log.display()),
            },
        })
    }

    /// Lets the workers finish what they have and what waits at their socket, then ends them; whether there were any.
    /// Requests that come now wait in the vassal's backlog.
    fn stop(&self) -> Result<bool> {
        let patience = self.site.config.uwsgi.drain_timeout;
        match self.place {
            _ if !files::exists(&self.paths.ini()) => {}
            Place::Beside => drain_beside(self.name, &self.paths, patience)?,
            Place::Own(slot) => {
                let late = if slot == self.site.slot(self.name) { Late::Held } else { Late::Answered };
                drain::drain(self.name, &self.paths, late, patience)?;
            }
        }
        self.remove().inspect_err(|_| {
            // Once the link is gone the emperor ends them, sooner or later: they must not have a request then.
            if files::exists(&self.paths.ini()) {
                _ = drain::resume(&self.paths);
            }
        })
    }

    /// Takes the link away, which ends the workers at once; whether there was one.
    fn remove(&self) -> Result<bool> {
        let removed = files::remove(&self.paths.ini())?;
        Emperor::Zergs.wait_gone(self.site, self.name, &self.paths.ini(), &self.paths.stats())?;
        // What stays of it says only that the workers, who are gone, may be paused.
        files::remove(&self.paths.draining()).ok();
        Ok(removed)
    }
}

/// Whether workers end again and again before one has loaded the application, by `sys.exit` for one. uWSGI gives up only
/// after exceptions.
fn die_while_loading(workers: &[Worker]) -> bool {
    workers.iter().all(|worker| !worker.loaded) && workers.iter().any(|worker| worker.spawns >= DEATHS)
}

/// The last traceback of a log that tells why, or the log where there is none. When a worker fails, the master interrupts
/// the others, and their tracebacks come later and only tell that.
fn evidence(log: &str) -> String {
    const START: &str = "Traceback (most recent call last)";
    let starts = || log.match_indices(START).filter_map(|(start, _)| traceback(&log[start..]));
    let telling = starts().filter(|traceback| !traceback.ends_with("KeyboardInterrupt")).last();
    telling.or_else(|| starts().last()).unwrap_or_else(|| log.to_owned())
}

/// The traceback at the start of a log; `None` where it is cut off, as a worker still writes it.
fn traceback(log: &str) -> Option<String> {
    // After the heading, the first line that is not indented is the exception itself.
    let exception = log.lines().skip(1).position(|line| !line.starts_with(' '))?;
    Some(log.lines().take(exception + 2).collect::<Vec<_>>().join("\n"))
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
        let heading = "Traceback (most recent call last):\n";
        assert_eq!(evidence(&format!("{log}\n{heading}")), expected);
        assert_eq!(evidence(&format!("spawned\n{heading}")), format!("spawned\n{heading}"));
    }
}
