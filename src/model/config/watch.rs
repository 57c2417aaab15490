//! The section `[watch]`.

use std::time::Duration;

use super::kinds::{decimal, int};
use super::section::Section;
use super::values::Decimal;

/// The section `[watch]`: how a build is looked at that went live, and when it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// How long a deploy watches the build that it made live, in seconds, 0 to 3600. Default: `0`, which is not at all.
    pub seconds: Duration,
    /// The part of the requests that may fail, 0 to 1. Default: `0.01`.
    pub max_error_rate: Decimal,
    /// How many times as long 95 of 100 requests may take as with the build before, 1 to 1000. Default: `2`.
    pub max_p95_ratio: Decimal,
}

impl Watch {
    pub(super) fn read(section: &mut Section) -> Self {
        let seconds = int(0..=3600).and_then(|seconds| Ok(Duration::from_secs(seconds.into())));
        Watch {
            seconds: section.take("seconds", "0", seconds),
            max_error_rate: section.take("max_error_rate", "0.01", decimal(0..=1)),
            max_p95_ratio: section.take("max_p95_ratio", "2", decimal(1..=1000)),
        }
    }
}
