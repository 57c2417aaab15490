//! The section `[keep]`.

use std::time::Duration;

use super::kinds::int;
use super::section::Section;

/// The section `[keep]`: what stays of earlier builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// How many complete builds stay besides those that are safe anyway, 0 to 1000. Default: `5`.
    pub builds: u16,
    /// How many builds that were live a deploy leaves running, 1 to 100; the staged one is one of them. Default: `1`.
    pub warm: u16,
    /// For how many days the static files of a removed build stay, 0 to 3650. Default: `30`.
    pub static_days: u16,
}

impl Keep {
    pub(super) fn read(section: &mut Section) -> Self {
        Keep {
            builds: section.take("builds", "5", int(0..=1000)),
            warm: section.take("warm", "1", int(1..=100)),
            static_days: section.take("static_days", "30", int(0..=3650)),
        }
    }

    /// How long static files outlive their build.
    pub fn statics(self) -> Duration {
        Duration::from_secs(86_400 * u64::from(self.static_days))
    }
}
