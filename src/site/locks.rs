//! The locks of a site. Taken in this order where several are needed: deploy, init, a build (in the order of their names),
//! migrations, the names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Site;
use crate::error::{Error, Result};
use crate::model::name::BuildName;
use crate::system::lock::{self, Lock};
use crate::system::{exchange, files};

impl Site {
    /// The lock of what moves names.
    ///
    /// # Errors
    /// Another command holds it for too long.
    pub fn lock_names(&self) -> Result<Lock> {
        let lock = self.lock("names.lock", "the pair of names _live and _stage")?;
        files::sweep(&exchange::places(&self.layout.builds()));
        files::sweep(&[self.layout.run(), self.layout.root().to_owned()]);
        self.note_found(&lock);
        Ok(lock)
    }

    /// The lock of a whole init: a second one finds the site made, and does not run the `[init]` commands again.
    ///
    /// # Errors
    /// Another init holds it for too long.
    pub fn lock_init(&self) -> Result<Lock> {
        let lock = self.lock("init.lock", "the site's init")?;
        let project = self.file.parent().unwrap_or(Path::new("/"));
        files::sweep(&[project.to_owned(), self.layout.conf(), self.layout.conf().join("pages")]);
        Ok(lock)
    }

    /// The lock of a whole deploy, taken before all others.
    ///
    /// # Errors
    /// Another deploy holds it for too long.
    pub fn lock_deploy(&self) -> Result<Lock> {
        let lock = self.lock("deploy.lock", "the site's deploy")?;
        files::sweep(&[self.layout.root().to_owned()]);
        Ok(lock)
    }

    /// The lock of the wheelhouse and the npm store. What a killed command has left running there is ended.
    ///
    /// # Errors
    /// Another command holds it for too long.
    pub fn lock_stores(&self) -> Result<Lock> {
        let what = "the wheelhouse";
        let lock = self.lock("stores.lock", what)?;
        lock::end_orphans(&self.layout.wheels_log(), what)?;
        Ok(lock)
    }

    /// The lock of the static files of removed builds. Taken after [`Self::lock_build`].
    ///
    /// # Errors
    /// Another command holds it for too long.
    pub fn lock_removed(&self) -> Result<Lock> {
        self.lock("removed.lock", "the store of removed static files")
    }

    /// The lock of the site's databases while they are migrated. Taken after [`Self::lock_build`] where both are needed.
    /// What a killed command has left migrating is ended, which its database takes back.
    ///
    /// # Errors
    /// Another command holds it for too long.
    pub fn lock_migrations(&self) -> Result<Lock> {
        let what = "the migration of the site";
        let lock = self.lock("migrate.lock", what)?;
        lock::end_orphans(&self.layout.migrate_log(), what)?;
        Ok(lock)
    }

    /// The lock of what changes one build. Taken before [`Self::lock_names`] where both are needed, and in the order of
    /// the names where two builds are. Like the others, it ends what killed commands have left running, and removes what
    /// they have left half written, in what it guards.
    ///
    /// # Errors
    /// Another command holds it for too long.
    pub fn lock_build(&self, name: BuildName) -> Result<Lock> {
        let what = format!("build {name}");
        let lock = self.lock(&lock_name(name), &what)?;
        self.clear(name, &what, &lock).map(|()| lock)
    }

    /// The same for a command that goes on without it: `None` where somebody has it.
    ///
    /// # Errors
    /// The file cannot be made or locked, or a program that a killed command has left does not end.
    pub fn try_lock_build(&self, name: BuildName) -> Result<Option<Lock>> {
        let what = format!("build {name}");
        match lock::take(&self.layout.run().join(lock_name(name)), &what, Duration::ZERO) {
            Err(Error::Locked(_)) => Ok(None),
            Err(error) => Err(error),
            Ok(lock) => self.clear(name, &what, &lock).map(|()| Some(lock)),
        }
    }

    /// Whether a command works on a build, for those that only look.
    pub fn is_busy(&self, name: BuildName) -> bool {
        lock::is_taken(&self.layout.run().join(lock_name(name)))
    }

    /// Ends what killed commands have left running for a build, and removes what they have left half written in it. That
    /// the last of them was killed is written down.
    fn clear(&self, name: BuildName, what: &str, lock: &Lock) -> Result<()> {
        self.note_killed(name, lock);
        for log in self.work_logs(name) {
            lock::end_orphans(&log, what)?;
        }
        let paths = self.layout.build(name);
        files::sweep(&[paths.dir().to_owned(), paths.assets(), paths.run(), paths.env_dir()]);
        Ok(())
    }

    /// What the programs of a build's creates and gates have written, and the hooks that were asked before a change of it. Those
    /// that are told afterwards need no lock.
    fn work_logs(&self, name: BuildName) -> Vec<PathBuf> {
        let starts = ["create-", "gate-", "hook-before_"].map(|work| format!("{name}.{work}"));
        let logs = fs::read_dir(self.layout.logs()).into_iter().flatten().flatten();
        let of_work = |log: &fs::DirEntry| {
            let file = log.file_name().to_string_lossy().into_owned();
            starts.iter().any(|start| file.starts_with(start))
        };
        logs.filter(of_work).map(|log| log.path()).collect()
    }

    /// Takes a lock, waiting for what is left of this command's patience.
    fn lock(&self, file: &str, what: &str) -> Result<Lock> {
        let began = Instant::now();
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = lock::take(&self.layout.run().join(file), what, *patience);
        *patience = patience.saturating_sub(began.elapsed());
        taken
    }

    /// How long this command may still wait for locks.
    pub fn patience(&self) -> Duration {
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file that is locked by whoever works on a build.
fn lock_name(name: BuildName) -> String {
    format!("build-{name}.lock")
}
