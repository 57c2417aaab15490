//! What is written down of every change: here, so that all that share a lock, a clock and a way to fail do it alike.

use std::fs;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Site;
use crate::error::{Error, Result};
use crate::model::change::{self, Action, Change, Outcome};
use crate::model::config::Hook;
use crate::model::history::{self, History};
use crate::model::layout::Role;
use crate::model::manifest::Manifest;
use crate::model::name::BuildName;
use crate::model::observed::Names;
use crate::model::rollback::Lives;
use crate::system::lock::{self, Lock};
use crate::system::{exchange, files, journal, signals, who};

/// The exit code of a killed command, as shells tell it.
const KILLED: u8 = 128 + 9;

/// A change under way, which is written down when it ends, however it does.
pub struct Deed<'a> {
    site: &'a Site,
    action: Action,
    build: Option<BuildName>,
    began: Instant,
    /// As it was before: afterwards the build may be gone.
    manifest: Option<Manifest>,
    /// Their lock, where it was taken, and what they were then.
    names: Option<(Lock, Names)>,
    /// Whether there is anything to write down if it succeeds.
    changed: bool,
    reason: Option<String>,
}

impl Site {
    /// Does something to a build, or to none, and writes it down: that it was done, or why it was not. The caller holds the
    /// lock of the build; the lock of the names, if [`Deed::lock_names`] took it, is held until all is written.
    ///
    /// # Errors
    /// Those of the work. A history that cannot be written stops nothing, nor does a hook that comes afterwards.
    pub fn noting<T>(
        &self,
        action: Action,
        build: impl Into<Option<BuildName>>,
        work: impl FnOnce(&mut Deed) -> Result<T>,
    ) -> Result<T> {
        let mut deed = Deed::new(self, action, build.into());
        self.deeds.fetch_add(1, Ordering::SeqCst);
        let done = work(&mut deed).map_err(|error| error.or_interrupted(signals::noted()));
        let outermost = self.deeds.fetch_sub(1, Ordering::SeqCst) == 1;
        if deed.changed || done.is_err() {
            let change = deed.told(done.as_ref().err());
            self.write_down(&change);
            // Nobody waits for the names while hooks run.
            drop(deed);
            if let Some(hook) = Hook::after(&change, outermost) {
                self.tell_hooks(hook, &change);
            }
        }
        done
    }

    /// All that is written down.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn history(&self) -> Result<History> {
        Ok(History::of(&text(&self.layout.older_history())?, &text(&self.layout.history())?))
    }

    /// Which builds were live, as far as lines of the history are whole.
    ///
    /// # Errors
    /// As [`Self::history`].
    pub fn lives(&self) -> Result<Lives> {
        Ok(Lives::of(self.history()?.changes().filter_map(Result::ok)))
    }

    /// What the two links say, whatever they lead to. A link that says nothing of the kind counts as none.
    pub fn links(&self) -> Names {
        let of = |role| exchange::target(&self.layout.link(role)).ok()?.to_str()?.parse().ok();
        Names { live: of(Role::Live), stage: of(Role::Stage) }
    }

    /// Writes down what the names are if the history has them elsewhere: a command was killed before it wrote what it did,
    /// or could not, or somebody moved a link by hand. The caller holds their lock.
    pub(super) fn note_found(&self, lock: &Lock) {
        let (now, known) = (self.links(), |history: Result<History>| history.map(|history| history.names()));
        // Nearly always the newer file says all, and the older one may be long.
        let newer = text(&self.layout.history()).map(|text| History::of("", &text));
        if now == Names::default() || known(newer).is_ok_and(|names| names == now) {
            return;
        }
        let Ok(from) = known(self.history()) else { return };
        if from == now {
            return;
        }
        let mut reason = "nobody wrote down that they moved".to_owned();
        if from == Names::default() {
            reason = "the history begins here".into();
        } else if let Some(who) = &lock.killed {
            reason += &format!("; {who} was killed while it held their lock");
        }
        let found = Deed { reason: Some(reason), ..Deed::new(self, Action::Found, now.live) };
        self.write_down(&Change { from, to: now, ..found.told(None) });
    }

    /// Writes down that who held the lock of a build before was killed, and thus could not write down what it did.
    pub(super) fn note_killed(&self, name: BuildName, lock: &Lock) {
        let Some(who) = &lock.killed else { return };
        let reason = format!("{who} worked on it, and did not come to its end");
        let killed = Deed { reason: Some(reason), ..Deed::new(self, Action::Killed, Some(name)) };
        self.write_down(&Change { result: Outcome::Failed, code: KILLED, ..killed.told(None) });
    }

    fn write_down(&self, change: &Change) {
        let path = self.layout.history();
        let written = serde_json::to_string(change)
            .map_err(io::Error::from)
            .map_err(Error::io("append to", &path))
            .and_then(|line| journal::append(&path, |last| history::closed(last, &line)))
            .and_then(|length| if length < history::FULL { Ok(()) } else { self.turn_history() });
        if let Err(error) = written {
            tracing::warn!("{}: {}; the history may lack what this command does", error.what(), error.cause());
        }
    }

    /// Puts the full file of the history aside, unless another command does already.
    fn turn_history(&self) -> Result<()> {
        let Some(_lock) = lock::try_alone(&self.layout.run().join("history.lock"))? else { return Ok(()) };
        let path = self.layout.history();
        if files::length(&path) < history::FULL {
            return Ok(());
        }
        journal::turn(&path, &self.layout.older_history(), &self.history()?.carried())
    }
}

/// The text of a file of the history, none where there is none. What is no text in it makes damaged lines.
fn text(path: &std::path::Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

impl<'a> Deed<'a> {
    fn new(site: &'a Site, action: Action, build: Option<BuildName>) -> Self {
        Self {
            site,
            action,
            build,
            began: Instant::now(),
            manifest: build.and_then(|build| site.manifest(build).ok().flatten()),
            names: None,
            changed: true,
            reason: None,
        }
    }

    /// Takes the lock of the names, and tells what they are.
    ///
    /// # Errors
    /// As [`Site::lock_names`] and [`Site::names`].
    pub fn lock_names(&mut self) -> Result<Names> {
        self.lock_links()?;
        self.site.names()
    }

    /// Takes the lock of the names, and tells what the links say, be it what they must not.
    ///
    /// # Errors
    /// As [`Site::lock_names`].
    pub fn lock_links(&mut self) -> Result<Names> {
        let lock = self.site.lock_names()?;
        let names = self.site.links();
        self.names = Some((lock, names));
        Ok(names)
    }

    /// Asks the hooks that come before it, which can forbid it. `to` tells what the names will be, if nothing else forbids it.
    ///
    /// # Errors
    /// One of them forbids it, or `to` does.
    pub fn ask(&self, to: impl FnOnce() -> Result<Names>) -> Result<()> {
        let Some(hook) = Hook::before(self.action).filter(|&hook| self.site.has_hook(hook)) else { return Ok(()) };
        let (from, to) = (self.site.links(), to()?);
        // Only a create moves no names.
        if from == to && self.action != Action::Create {
            return Ok(());
        }
        self.site.ask_hooks(hook, &Change { from, to, ..self.told(None) })
    }

    /// Says whether there was anything to do.
    pub fn changed(&mut self, changed: bool) {
        self.changed = changed;
    }

    /// Says what it is done for.
    pub fn reason(&mut self, reason: &str) {
        self.reason = Some(reason.to_owned());
    }

    /// The change as it is now.
    fn told(&self, error: Option<&Error>) -> Change {
        let manifest = self.build.and_then(|build| self.site.manifest(build).ok().flatten());
        let manifest = manifest.as_ref().or(self.manifest.as_ref());
        let code = error.map_or(0, Error::code);
        Change {
            at: files::now(),
            action: self.action,
            command: who::typed(),
            by: who::user(),
            build: self.build,
            tag: manifest.map(|manifest| manifest.tag.clone()),
            commit: manifest.and_then(|manifest| manifest.source.commit.clone()),
            from: self.names.as_ref().map_or_else(Names::default, |(_, names)| *names),
            to: self.names.as_ref().map_or_else(Names::default, |_| self.site.links()),
            seconds: (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            result: Outcome::of(code),
            code,
            reason: error.map(|error| change::reason(&error.what(), &error.cause())).or_else(|| self.reason.clone()),
        }
    }
}
