//! The two places where a build's workers can run.

use std::path::{Path, PathBuf};

/// One of the two places where a build's workers can run. A restart starts new ones in the other, each with a socket of
/// its own, and then lets requests follow, so that the old ones finish in peace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Where workers run unless a restart has moved them.
    First,
    /// Where they run after a restart, until the next one.
    Second,
}

/// The places of a build's workers: in one of its slots, or as a canary in that of another build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPaths {
    dir: PathBuf,
    /// The names of all that is their own, which the skeletons know as `%n`.
    stem: &'static str,
    socket: PathBuf,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The name of its socket, to which `run/web.sock` points while requests go here.
    pub fn socket_name(self) -> &'static str {
        match self {
            Self::First => "web-1.sock",
            Self::Second => "web-2.sock",
        }
    }

    /// Which of the vassal's sockets it is, from 0.
    pub fn socket_number(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The name to which `run/web.sock` points while requests to the workers here are held. It leads to the other slot's
    /// socket, where they wait.
    pub fn hold_name(self) -> &'static str {
        match self {
            Self::First => "hold-1.sock",
            Self::Second => "hold-2.sock",
        }
    }

    /// The slot whose workers requests are meant for, by what `run/web.sock` points to. Without a link it is the first,
    /// where a new build starts.
    pub fn of_link(target: Option<&Path>) -> Self {
        let names = |slot: &Self| [slot.socket_name(), slot.hold_name()].map(Path::new);
        let slot = target.and_then(|target| Self::ALL.into_iter().find(|slot| names(slot).contains(&target)));
        slot.unwrap_or(Self::First)
    }

    /// Whether requests are held, by what `run/web.sock` points to.
    pub fn is_hold(target: &Path) -> bool {
        Self::ALL.iter().any(|slot| target == Path::new(slot.hold_name()))
    }

    fn stem(self) -> &'static str {
        match self {
            Self::First => "zerg",
            Self::Second => "zerg-2",
        }
    }
}

impl SlotPaths {
    /// The places of `slot` in the build's directory `dir`.
    pub fn new(dir: &Path, slot: Slot) -> Self {
        Self { dir: dir.to_owned(), stem: slot.stem(), socket: dir.join("run").join(slot.socket_name()) }
    }

    /// The places of the canary whose directory is `dir` and who takes requests from `socket`, which is another build's.
    pub fn canary(dir: &Path, socket: PathBuf) -> Self {
        Self { dir: dir.to_owned(), stem: "canary", socket }
    }

    /// The emperor starts the zerg while this link is there.
    pub fn ini(&self) -> PathBuf {
        self.dir.join(format!("{}.ini", self.stem))
    }

    /// Where the zerg tells how its workers are.
    pub fn stats(&self) -> PathBuf {
        self.run("stats")
    }

    /// The zerg master's command fifo.
    pub fn fifo(&self) -> PathBuf {
        self.run("fifo")
    }

    /// There while the workers are drained, and after a drain that was killed: they may be paused.
    pub fn draining(&self) -> PathBuf {
        self.run("draining")
    }

    /// The socket from which the workers take requests.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    fn run(&self, what: &str) -> PathBuf {
        self.dir.join("run").join(format!("{}.{what}", self.stem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_tells_the_slot() {
        for slot in Slot::ALL {
            assert_eq!(Slot::of_link(Some(Path::new(slot.socket_name()))), slot);
            assert_eq!(Slot::of_link(Some(Path::new(slot.hold_name()))), slot);
            assert!(Slot::is_hold(Path::new(slot.hold_name())) && !Slot::is_hold(Path::new(slot.socket_name())));
            assert_eq!(slot.other().other(), slot);
        }
        assert_eq!(Slot::of_link(None), Slot::First);
        assert_eq!(Slot::of_link(Some(Path::new("elsewhere"))), Slot::First);
    }
}
