//! The canary: workers of one build that share the sockets of another, so that some of its requests meet them.

use std::path::Path;

use super::name::BuildName;
use super::render::render;
use super::slot::Slot;

/// A canary as it is asked for, and as it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The build whose workers they are.
    pub name: BuildName,
    /// The build whose requests they share: the one that was live when they came.
    pub of: BuildName,
    /// The slot of that build from which they take requests.
    pub slot: Slot,
    /// How many they are.
    pub workers: u16,
}

impl Canary {
    /// What the skeleton reads of it. `zerg` is where the other build's vassal gives its sockets away.
    pub fn ini(&self, zerg: &Path, threads: u16) -> String {
        render(
            include_str!("../../skel/build/canary-of.ini"),
            &[
                ("of", &self.of.to_string()),
                ("zerg", &zerg.to_string_lossy()),
                ("unmapped", &self.slot.other().socket_number().to_string()),
                ("workers", &self.workers.to_string()),
                ("threads", &threads.to_string()),
            ],
        )
    }

    /// The canary of build `name`, by what was written for the skeleton.
    pub fn of_ini(name: BuildName, ini: &str) -> Option<Self> {
        let value = |key: &str| ini.lines().find_map(|line| line.strip_prefix(key));
        let unmapped = value("map-socket = ")?;
        Some(Self {
            name,
            of: value("set-placeholder = canary-of=")?.parse().ok()?,
            slot: Slot::ALL.into_iter().find(|slot| unmapped == format!("{}:", slot.other().socket_number()))?,
            workers: value("processes = ")?.parse().ok()?,
        })
    }
}

/// The share of requests that `workers` get who stand beside `others`, from 0 to 1: each takes the next when it is free.
pub fn share(workers: usize, others: usize) -> f64 {
    let all = workers + others;
    if all == 0 { 0.0 } else { workers as f64 / all as f64 }
}

/// How many workers beside `others` get about so much of the requests, in percent below 100: at least one.
pub fn workers_for(percent: u16, others: usize) -> u16 {
    let share = f64::from(percent) / 100.0;
    (share * others as f64 / (1.0 - share)).round().clamp(1.0, 1024.0) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    fn canary(slot: Slot) -> Canary {
        Canary { name: BuildName::from_number(2), of: BuildName::from_number(27), slot, workers: 3 }
    }

    fn written(slot: Slot) -> String {
        canary(slot).ini(Path::new("/srv/shop/deploy/builds/ab/run/zerg.sock"), 2)
    }

    #[test]
    fn what_is_written_is_found_again() {
        for slot in Slot::ALL {
            assert_eq!(Canary::of_ini(BuildName::from_number(2), &written(slot)), Some(canary(slot)));
        }
        let lines =
            ["zerg = /srv/shop/deploy/builds/ab/run/zerg.sock", "map-socket = 1:", "processes = 3", "threads = 2"];
        for line in lines {
            assert!(written(Slot::First).lines().any(|written| written == line), "{line}");
        }
        assert_eq!(Canary::of_ini(BuildName::FIRST, "[uwsgi]\n"), None);
    }

    const GOOD: &str = "[uwsgi]\nset-placeholder = canary-of=a\nmap-socket = 1:\nprocesses = 3\n";

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in damaged(GOOD)) {
            Canary::of_ini(BuildName::FIRST, &text);
        }
    }

    #[test]
    fn a_share_takes_so_many_workers() {
        let cases = [((10, 2), 1), ((10, 9), 1), ((10, 18), 2), ((50, 4), 4), ((25, 12), 4), ((50, 0), 1)];
        for ((percent, others), expected) in cases {
            assert_eq!(workers_for(percent, others), expected, "{percent} {others}");
        }
    }

    #[test]
    fn the_share_is_that_of_the_workers() {
        assert_eq!((share(1, 3), share(2, 0), share(0, 0)), (0.25, 1.0, 0.0));
    }
}
