//! The section `[migrate]`.

use super::kinds::{boolean, list, not_empty, text};
use super::section::Section;

/// The section `[migrate]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrate {
    /// Whether a deploy applies migrations that the live build survives, before the swap. Otherwise it stops where there
    /// are any. Default: `false`.
    pub run: bool,
    /// The databases whose migrations count, by their names in Django's `DATABASES`. Default: `["default"]`.
    pub databases: Vec<String>,
}

impl Migrate {
    pub(super) fn read(section: &mut Section) -> Self {
        let databases = list("a list of names of DATABASES", text("a name of DATABASES")).and_then(not_empty);
        Migrate {
            run: section.take("run", "false", boolean()),
            databases: section.take("databases", r#"["default"]"#, databases),
        }
    }
}
