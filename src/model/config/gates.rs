//! The section `[gates]`.

use std::time::Duration;

use super::kinds::{commands, seconds};
use super::section::Section;
use super::values::ArgumentList;

/// The section `[gates]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates {
    /// The commands that a deploy runs in the new build before it is staged, in this order: one that ends with anything
    /// but 0 stops the deploy. Default: none.
    pub before_stage: Vec<ArgumentList>,
    /// Those that it runs in the staged build before it becomes live. Default: none.
    pub before_live: Vec<ArgumentList>,
    /// How long one of them may take, in seconds, 1 to 3600. Default: `300`.
    pub timeout: Duration,
}

impl Gates {
    pub(super) fn read(section: &mut Section) -> Self {
        Gates {
            before_stage: section.take("before_stage", "[]", commands()),
            before_live: section.take("before_live", "[]", commands()),
            timeout: section.take("timeout", "300", seconds()),
        }
    }
}
