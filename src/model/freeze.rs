//! `freeze.json`: while it is there nobody moves the names, but back.

use serde::{Deserialize, Serialize};

use super::change::By;
use super::time::utc;

/// Who froze a site, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Who.
    pub by: By,
    /// Why.
    pub reason: String,
}

impl Freeze {
    /// The freeze that a file tells of. One that cannot be read is one still: somebody wanted it.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            at: 0,
            by: By { user: "somebody".into(), sudo: None },
            reason: "freeze.json is damaged".into(),
        })
    }

    /// Who, when and why, in a line.
    pub fn told(&self) -> String {
        format!("by {} at {}: {}", self.by.told(), utc(self.at), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    const GOOD: &str = r#"{"at": 1763800000, "by": {"user": "deploy", "sudo": "ann"}, "reason": "black friday"}"#;

    proptest! {
        #[test]
        fn whatever_is_there_freezes(text in damaged(GOOD)) {
            prop_assert!(!Freeze::read(&text).told().is_empty());
        }
    }

    #[test]
    fn who_and_why_are_told() {
        assert_eq!(Freeze::read(GOOD).told(), "by ann as deploy at 2025-11-22T08:26:40Z: black friday");
        assert!(Freeze::read("").told().ends_with("freeze.json is damaged"));
    }
}
