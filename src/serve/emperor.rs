//! The two emperors: what they run, and how they are woken.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, geteuid};
use serde::Deserialize;

use super::{Trouble, stats};
use crate::model::name::BuildName;
use crate::model::rules::Refusal;
use crate::site::Site;
use crate::system::{socket, wait, who};

/// How long an emperor may take to end an instance that has nothing left to do.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long an emperor may take to answer after it was started.
const START: Duration = Duration::from_secs(5);

/// One of the two emperors. They are apart so that vassals keep holding requests when the zergs' emperor dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emperor {
    /// Starts a vassal for each `vassal.ini`.
    Vassals,
    /// Starts a zerg for each `zerg.ini` and `zerg-2.ini`.
    Zergs,
}

#[derive(Deserialize)]
struct EmperorStats {
    #[serde(deserialize_with = "stats::few")]
    vassals: Vec<Instance>,
}

/// The user who runs the site's builds, or last did: whose the vassals' emperor is.
pub fn user(site: &Site) -> Option<Uid> {
    fs::metadata(Emperor::Vassals.socket(site)).ok().map(|data| Uid::from_raw(data.uid()))
}

/// Checks that whoever runs the builds could also change and remove what this user makes for them.
///
/// # Errors
/// This is root, and uWSGI runs as somebody else.
pub fn check_user(site: &Site) -> Result<(), Refusal> {
    match user(site).filter(|user| geteuid().is_root() && !user.is_root()) {
        Some(user) => Err(Refusal::Root { user: who::name(user), typed: who::typed() }),
        None => Ok(()),
    }
}

/// Something that an emperor runs.
#[derive(Deserialize)]
struct Instance {
    id: PathBuf,
    pid: i32,
}

impl Emperor {
    /// Where it tells how it is.
    pub fn socket(self, site: &Site) -> PathBuf {
        site.layout.run().join(match self {
            Self::Vassals => "vassals.stats",
            Self::Zergs => "zergs.stats",
        })
    }

    /// The file that it is started with, which lies beside the directory of its `socket`.
    pub fn configuration(self, socket: &Path) -> PathBuf {
        let root = socket.ancestors().nth(2).unwrap_or(Path::new(""));
        root.join("conf").join(match self {
            Self::Vassals => "vassals.ini",
            Self::Zergs => "zergs.ini",
        })
    }

    /// Checks that the emperor is there.
    ///
    /// # Errors
    /// It does not answer, or this user may not ask.
    pub fn check(self, site: &Site) -> Result<(), Trouble> {
        let socket = self.socket(site);
        match socket::listen(&socket) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Trouble::Closed { what: self.to_string(), path: socket })
            }
            Err(source) => Err(Trouble::NoEmperor { emperor: self, socket, source }),
        }
    }

    /// Wakes the emperor, which then looks for new and gone links at once. One that is too busy to answer is there, and is
    /// woken all the same.
    ///
    /// # Errors
    /// Nobody is there, or this user may not ask.
    pub fn wake(self, site: &Site) -> Result<(), Trouble> {
        match self.check(site) {
            Err(Trouble::NoEmperor { source, .. })
                if matches!(source.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) =>
            {
                Ok(())
            }
            checked => checked,
        }
    }

    /// Waits for an emperor that was started a moment ago.
    ///
    /// # Errors
    /// It does not answer in time.
    pub fn await_start(self, site: &Site) -> Result<(), Trouble> {
        let came = wait::until(&[&site.layout.run()], START, || Ok::<_, Trouble>(self.check(site).ok()))?;
        came.map_or_else(|| self.check(site), Ok)
    }

    /// The process that the emperor runs for the link `ini`, if any.
    ///
    /// Asking wakes the emperor, which then looks for new and gone links at once. Its answer is from before that look,
    /// so only a later one shows what it found.
    ///
    /// # Errors
    /// The emperor does not answer.
    pub fn instance(self, site: &Site, ini: &Path) -> Result<Option<i32>, Trouble> {
        self.check(site)?;
        let stats: EmperorStats = stats::read(&self.socket(site))?;
        Ok(stats.vassals.iter().find(|instance| instance.id == ini).map(|instance| instance.pid))
    }

    /// Waits until the emperor no longer runs anything for a build's link that is gone.
    ///
    /// An emperor that is not there runs nothing: its instances die with it. `stats` is the socket of what ends: its master
    /// looks whether its processes are gone when somebody knocks there, and once a second.
    ///
    /// # Errors
    /// It does not answer, though it is there; or it still runs something after the longest time that it grants its instances.
    pub fn wait_gone(self, site: &Site, name: BuildName, ini: &Path, stats: &Path) -> Result<(), Trouble> {
        let gone = wait::until(&[], PATIENCE, || match self.instance(site, ini) {
            Ok(None) => Ok(Some(())),
            Ok(Some(_)) => {
                drop(socket::reach(stats));
                Ok(None)
            }
            Err(Trouble::NoEmperor { source, .. }) if socket::nobody(&source) => Ok(Some(())),
            Err(trouble) => Err(trouble),
        })?;
        gone.ok_or(Trouble::NotStopped { name, emperor: self, after: PATIENCE })
    }
}

impl fmt::Display for Emperor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vassals => "the vassals' emperor",
            Self::Zergs => "the zergs' emperor",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in damaged(r#"{"vassals": [{"id": "/srv/shop/builds/a/zerg.ini", "pid": 7}]}"#)) {
            if let Ok(stats) = serde_json::from_str::<EmperorStats>(&text) {
                drop(stats.vassals.iter().map(|instance| (instance.id.parent(), instance.pid)).collect::<Vec<_>>());
            }
        }
    }
}
