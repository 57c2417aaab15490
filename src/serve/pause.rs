//! A pause: requests to live wait, and none is lost. `run/web.sock`, which nginx and the vassal's router follow at each
//! request, is pointed to the build's other socket, where nobody answers. A process of its own, the keeper, ends the pause
//! in time, and passes what has waited on to whatever is live then.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::unistd::setsid;
use serde::Serialize;

use super::{conf, vassal, zerg};
use crate::error::{Error, Result};
use crate::model::layout::Role;
use crate::model::name::BuildName;
use crate::model::rules::Refusal;
use crate::model::slot::Slot;
use crate::model::words::count;
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::process::Run;
use crate::system::signals::Interrupted;
use crate::system::{passed, procfs, relay, signals, wait};

/// How long a keeper waits for the pause that it was started for.
const START: Duration = Duration::from_secs(5);

/// How long the answers to held requests may take once they go on.
const ANSWERS: Duration = Duration::from_secs(90);

/// How late a keeper may be, in seconds, before it is taken to be gone.
const LATE: u64 = 3;

/// A build whose requests are held.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pause {
    /// The build.
    pub build: BuildName,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Until when at the latest, in seconds since 1970.
    pub until: u64,
    /// How many requests wait.
    pub waiting: usize,
}

impl Pause {
    /// Whether nobody is there to end it.
    pub fn is_overdue(&self, now: u64) -> bool {
        now > self.until + LATE
    }
}

/// The pause of a build, if its requests are held.
pub fn of(site: &Site, name: BuildName) -> Option<Pause> {
    let paths = site.layout.build(name);
    fs::read_link(paths.web_socket()).ok().filter(|target| Slot::is_hold(target))?;
    Some(Pause {
        build: name,
        since: fs::symlink_metadata(paths.web_socket()).map_or(0, |data| data.mtime().max(0) as u64),
        until: files::read(&paths.pause()).ok().flatten().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        waiting: held(site, name),
    })
}

/// The builds whose requests are held, or still wait since they were.
///
/// # Errors
/// `builds/` cannot be read.
pub fn all(site: &Site) -> Result<Vec<BuildName>> {
    Ok(site.builds()?.into_iter().filter(|&name| files::exists(&site.layout.build(name).pause())).collect())
}

/// Checks that no request waits where workers, or the vassal, are about to end or to change places.
///
/// # Errors
/// One does.
pub fn spare(site: &Site, name: BuildName) -> Result<()> {
    let paused = files::exists(&site.layout.build(name).pause());
    if paused && (of(site, name).is_some() || held(site, name) > 0) {
        return Err(Refusal::Paused(name).into());
    }
    Ok(())
}

/// How many requests wait where nobody answers.
fn held(site: &Site, name: BuildName) -> usize {
    procfs::connections(&site.layout.build(name).slot(site.slot(name).other()).socket()).waiting
}

/// Holds the requests to the live build for at most `most`, and returns when its workers have none left; its pause, and
/// whether there was none before. The caller holds the build's lock.
///
/// # Errors
/// Its requests do not end in that time, or something of the site is older than this. Requests go on.
pub fn begin(site: &Site, name: BuildName, most: Duration) -> Result<(Pause, bool)> {
    if let Some(pause) = of(site, name).filter(|pause| !pause.is_overdue(files::now())) {
        return Ok((pause, false));
    }
    prepare(site, name)?;
    let began = Instant::now();
    let paths = site.layout.build(name);
    {
        let _names = site.lock_names()?;
        if site.names()?.live != Some(name) {
            return Err(gone(name, "another build was made live meanwhile"));
        }
        let until = format!("{}\n", files::now() + most.as_secs());
        files::write(&paths.pause(), until.as_bytes(), Mode::Public)?;
        // Before there is anything to keep: whoever kills this command leaves no pause that nobody ends.
        keeper(site, name, most)?;
        point(site, name, site.slot(name).hold_name())?;
    }
    let busy = paths.slot(site.slot(name)).socket();
    let idle = await_idle(&busy, most.saturating_sub(began.elapsed()));
    if !matches!(idle, Ok(Some(()))) {
        let left = procfs::connections(&busy);
        release(site, name)?;
        idle?;
        return Err(Error::Unmet {
            problem: format!(
                "build {name} still has {} after {} s",
                count(left.taken + left.waiting, "request"),
                most.as_secs()
            ),
            cause: "they take longer than --max; all requests go on".into(),
            next: "builds pause with a longer --max, or at a quieter time".into(),
        });
    }
    let pause = of(site, name).ok_or_else(|| gone(name, "another command has ended it, or its time was over"))?;
    Ok((pause, true))
}

/// Waits until the workers at a socket have no request any more.
fn await_idle(socket: &Path, patience: Duration) -> Result<Option<()>> {
    let mut quiet = 0;
    wait::until(&[], patience, || {
        let connections = procfs::connections(socket);
        quiet = if connections.taken + connections.waiting == 0 { quiet + 1 } else { 0 };
        // One who has looked up the way to the workers a moment ago may still come.
        Ok((quiet > 1).then_some(()))
    })
}

fn gone(name: BuildName, cause: &str) -> Error {
    Error::Unmet {
        problem: format!("the pause of build {name} was over before it had begun"),
        cause: cause.into(),
        next: "builds status, then the same command again".into(),
    }
}

/// Makes room for the requests that will wait, where nobody may answer them.
fn prepare(site: &Site, name: BuildName) -> Result<()> {
    conf::check_has(site, "uwsgi.sh", "hold-", "")?;
    zerg::end_replaced(site, name)?;
    let paths = site.layout.build(name);
    let (slot, server) = (site.slot(name), paths.zerg_socket());
    let hold = paths.slot(slot.other()).socket();
    let unmet = |cause: String| Error::Unmet {
        problem: format!("build {name} has nowhere to hold requests"),
        cause,
        next: format!("a new vassal makes its sockets anew: make another build live, then builds stop {name}"),
    };
    if let Some(why) = vassal::severed(&hold) {
        return Err(unmet(format!("{}: {why}", hold.display())));
    }
    let sockets = passed::sockets(&server).map_err(|error| unmet(format!("{}: {error}", server.display())))?;
    let socket = sockets.iter().find(|socket| passed::is_at(socket, &hold));
    let socket = socket.ok_or_else(|| unmet(format!("its vassal has no {}", hold.display())))?;
    passed::deepen(socket).map_err(|error| unmet(format!("{}: {error}", hold.display())))?;
    files::link(Path::new(slot.other().socket_name()), &paths.hold(slot))
}

/// Starts the process that ends a pause in time. It has a session of its own: neither a terminal nor the end of this
/// command reaches it.
fn keeper(site: &Site, name: BuildName, most: Duration) -> Result<Child> {
    let program = std::env::current_exe().map_err(Error::io("find the program of", Path::new("builds")))?;
    let words = ["hold", &name.to_string(), &most.as_secs().to_string(), "--config"];
    Ok(Run::new(program).args(words).arg(&site.file).detached(&site.layout.pause_log())?)
}

/// What the keeper does. Where no requests are held any more, it has only to pass on what waits still.
///
/// # Errors
/// What waits cannot be passed on.
pub fn keep(site: &Site, name: BuildName, most: Duration) -> Result<()> {
    // It fails where this is the first process of a session already.
    setsid().ok();
    if !most.is_zero() && !await_end(site, name, most) {
        return Ok(());
    }
    signals::shielded(|| {
        release(site, name)?;
        pass_on(site, name)
    })
}

/// Waits for the end of a pause, by whatever comes first; whether there is anything left to do. Whoever asks this process
/// to end asks the pause to end.
fn await_end(site: &Site, name: BuildName, most: Duration) -> bool {
    let run = site.layout.build(name).run();
    let begun = || Ok::<_, Interrupted>(identity(site, name).filter(|_| of(site, name).is_some()));
    let Ok(Some(own)) = wait::until(&[&run], START, begun) else { return true };
    let is_live = || {
        let live = fs::read_link(site.layout.link(Role::Live));
        live.is_ok_and(|live| live == Path::new(&name.to_string()))
    };
    let other = || identity(site, name) != Some(own);
    let over = || Ok::<_, Interrupted>((of(site, name).is_none() || other() || !is_live()).then_some(()));
    _ = wait::until(&[&run, &site.layout.builds()], most, over);
    // Another pause has a keeper of its own.
    of(site, name).is_none() || !other()
}

/// What tells one pause from the next: each writes a file of its own.
fn identity(site: &Site, name: BuildName) -> Option<(u64, i64, i64)> {
    let data = fs::metadata(site.layout.build(name).pause()).ok()?;
    Some((data.ino(), data.ctime(), data.ctime_nsec()))
}

/// Lets new requests go to the workers again; whether they were held.
fn release(site: &Site, name: BuildName) -> Result<bool> {
    let held = of(site, name).is_some();
    if held {
        point(site, name, site.slot(name).socket_name())?;
    }
    Ok(held)
}

/// Points `run/web.sock` elsewhere. It is not synced: a power cut ends the pause, too, and no disk shall keep requests from
/// going on.
fn point(site: &Site, name: BuildName, target: &str) -> Result<()> {
    files::together(|| files::link(Path::new(target), &site.layout.build(name).web_socket()))
}

/// Passes what has waited on to whatever is live, also where that is the same build.
fn pass_on(site: &Site, name: BuildName) -> Result<()> {
    let _lock = site.lock_build(name)?;
    if of(site, name).is_some() {
        return Ok(());
    }
    let paths = site.layout.build(name);
    let (hold, server) = (paths.slot(site.slot(name).other()).socket(), paths.zerg_socket());
    if held(site, name) > 0 {
        let sockets = passed::sockets(&server).map_err(Error::io("get the sockets of", &server))?;
        if let Some(socket) = sockets.iter().find(|socket| passed::is_at(socket, &hold)) {
            relay::relay(socket, &site.layout.link(Role::Live).join("run/web.sock"));
        }
    }
    files::remove(&paths.pause()).map(drop)
}

/// Ends the pause of a build, and returns when all that has waited is answered; how many had, and whether it was paused.
///
/// # Errors
/// They are not answered in time (90 s), or nobody can be started who passes them on.
pub fn end(site: &Site, name: BuildName) -> Result<(usize, bool)> {
    let waiting = held(site, name);
    let paused = release(site, name)?;
    let mut keeper = keeper(site, name, Duration::ZERO)?;
    let paths = site.layout.build(name);
    let ended = wait::until(&[&paths.run()], ANSWERS, || {
        let over = keeper.try_wait().map_err(Error::io("wait for the keeper of", paths.dir()))?.is_some();
        Ok::<_, Error>(over.then_some(()))
    })?;
    if ended.is_none() || files::exists(&paths.pause()) {
        return Err(Error::Unmet {
            problem: format!("build {name} still has {} waiting", count(held(site, name), "request")),
            cause: match of(site, name) {
                Some(_) => "somebody has paused it again meanwhile".into(),
                None => format!("{} tells what their keeper said", site.layout.pause_log().display()),
            },
            next: "builds status shows whether live answers; then builds resume again".into(),
        });
    }
    Ok((waiting, paused))
}
