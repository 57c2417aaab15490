//! What uWSGI and nginx can refuse to do.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::emperor::Emperor;
use crate::model::name::BuildName;
use crate::model::words::count;
use crate::system::process::{CommandError, Outcome};
use crate::system::signals::Interrupted;

/// uWSGI or nginx did not do what was asked.
#[derive(Debug)]
pub enum Trouble {
    /// An emperor does not answer.
    NoEmperor {
        /// Which.
        emperor: Emperor,
        /// Where it should.
        socket: PathBuf,
        /// Why it does not.
        source: io::Error,
    },
    /// This user may not see whether something runs.
    Closed {
        /// What.
        what: String,
        /// Where it would be seen.
        path: PathBuf,
    },
    /// A stats socket said something that uWSGI does not say.
    BadStats {
        /// The socket.
        socket: PathBuf,
        /// What was wrong.
        problem: String,
    },
    /// A build's port belongs to somebody else.
    PortTaken {
        /// The build.
        name: BuildName,
        /// Its port.
        port: u16,
    },
    /// A vassal does not come up.
    NotListening {
        /// The build.
        name: BuildName,
        /// How long was waited.
        after: Duration,
        /// What it said.
        said: String,
    },
    /// An instance does not go away.
    NotStopped {
        /// The build.
        name: BuildName,
        /// The emperor that keeps it.
        emperor: Emperor,
        /// How long was waited.
        after: Duration,
    },
    /// Requests did not end.
    NotDrained {
        /// The build.
        name: BuildName,
        /// How many were left.
        left: usize,
        /// How long was waited.
        after: Duration,
        /// The command that tries again.
        again: String,
        /// The link whose removal ends the workers with all that they have.
        link: PathBuf,
    },
    /// Workers of nginx that a reload has replaced do not end.
    OldWorkers {
        /// The build that they may still ask.
        name: BuildName,
        /// How long was waited.
        after: Duration,
    },
    /// No nginx runs.
    NoNginx {
        /// Where its process id should be.
        pid_file: PathBuf,
    },
    /// nginx refuses the configuration, or cannot be asked.
    BadNginxConf(CommandError),
    /// nginx cannot be told to reload.
    CannotReload(String),
    /// nginx did not reload in time.
    NotReloaded {
        /// How long was waited.
        after: Duration,
    },
    /// A signal came while something was awaited.
    Interrupted(Interrupted),
}

impl Trouble {
    /// What failed.
    pub fn what(&self) -> String {
        match self {
            Self::NoEmperor { emperor, .. } => format!("{emperor} does not answer"),
            Self::Closed { what, .. } => format!("this user may not see whether {what} runs"),
            Self::BadStats { socket, .. } => format!("{} speaks no stats", socket.display()),
            Self::PortTaken { name, port } => format!("port {port} of build {name} is taken"),
            Self::NotListening { name, after, .. } => {
                format!("the vassal of build {name} did not listen within {} s", after.as_secs())
            }
            Self::NotStopped { name, emperor, after } => {
                format!("{emperor} did not stop build {name} within {} s", after.as_secs())
            }
            Self::NotDrained { name, left, after, .. } => {
                format!("build {name} still works on {} after {} s", count(*left, "request"), after.as_secs())
            }
            Self::OldWorkers { name, after } => {
                format!("nginx may still send requests to build {name} after {} s", after.as_secs())
            }
            Self::NoNginx { .. } => "nginx does not run".into(),
            Self::BadNginxConf(error) => match error.outcome {
                Outcome::Failed(_) => "nginx refuses its configuration".into(),
                _ => error.what(),
            },
            Self::CannotReload(_) => "nginx cannot be reloaded".into(),
            Self::NotReloaded { after } => format!("nginx did not reload within {} s", after.as_secs()),
            Self::Interrupted(Interrupted(signal)) => format!("interrupted by {signal}"),
        }
    }

    /// Why.
    pub fn cause(&self) -> String {
        match self {
            Self::NoEmperor { socket, source, .. } => format!("{}: {source}", socket.display()),
            Self::Closed { path, .. } => format!("{} is closed to it", path.display()),
            Self::BadStats { problem, .. } => problem.clone(),
            Self::PortTaken { .. } => "another program listens on it".into(),
            Self::NotListening { said, .. } if said.is_empty() => {
                "it said nothing; see the emperor's own output".into()
            }
            Self::NotListening { said, .. } => said.clone(),
            Self::NotStopped { .. } => "its process is still there".into(),
            Self::NotDrained { .. } => {
                "they take longer than uwsgi.drain_timeout; its workers take requests again".into()
            }
            Self::OldWorkers { .. } => "workers from before its last reload still have connections".into(),
            Self::NoNginx { pid_file } => format!("{} names no running process", pid_file.display()),
            Self::BadNginxConf(error) => error.cause(),
            Self::CannotReload(why) => why.clone(),
            Self::NotReloaded { .. } => "its old workers still take connections".into(),
            Self::Interrupted(_) => String::new(),
        }
    }

    /// What to type next.
    pub fn next(&self) -> String {
        match self {
            Self::NoEmperor { emperor, socket, .. } => format!(
                "builds up in another terminal; or, behind the host's own nginx, uwsgi --ini {}",
                emperor.configuration(socket).display()
            ),
            Self::Closed { path, .. } => format!(
                "run builds as the site's user, as with sudo -u; namei -l {} shows who that is",
                path.display()
            ),
            Self::BadStats { .. } => "builds doctor".into(),
            Self::PortTaken { port, .. } => {
                format!("ss -ltnp 'sport = {port}' shows whose it is; site.base_port in builds.toml moves all ports")
            }
            Self::NotListening { .. } => "builds doctor; uwsgi.start_timeout in builds.toml waits longer".into(),
            Self::NotStopped { name, .. } => {
                format!("builds status shows its processes; then builds stop {name} again")
            }
            Self::NotDrained { again, link, .. } => {
                format!("builds {again}, or raise uwsgi.drain_timeout; rm {} cuts them", link.display())
            }
            Self::OldWorkers { .. } => {
                "try again when they have ended; worker_shutdown_timeout in nginx.conf is the longest that they may take"
                    .into()
            }
            Self::NoNginx { .. } => {
                "builds up, or start the host's nginx; nginx.pid_file in builds.toml names its pid".into()
            }
            Self::BadNginxConf(error) if !matches!(error.outcome, Outcome::Failed(_)) => error.next(),
            // What nginx itself says to a user who may not test it; it names a file that needs no mending.
            Self::BadNginxConf(error) if error.tail.contains("(13: Permission denied)") => {
                "nginx -s reload as root, then the same command again; or name commands that this user may run \
                 as nginx.test and nginx.reload in builds.toml, such as sudo -n nginx -t"
                    .into()
            }
            Self::BadNginxConf(_) => "mend the file that nginx names, then try again".into(),
            Self::CannotReload(_) => {
                "nginx -s reload as root, then the same command again; or name a command that this user may run \
                 as nginx.reload in builds.toml, such as sudo -n nginx -s reload"
                    .into()
            }
            Self::NotReloaded { .. } => "look into nginx's error log, then reload it by hand".into(),
            Self::Interrupted(_) => "try again".into(),
        }
    }
}

impl From<Interrupted> for Trouble {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted(interrupted)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.cause())
    }
}
