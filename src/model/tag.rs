//! The human name of what a build contains.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest tag, in bytes.
const LONGEST: usize = 100;

/// A version or a git description, such as `v1.4-3-g0d1e2f3`.
///
/// It reaches process titles, logs and uWSGI's configuration, so it has only characters that mean nothing there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// A text that cannot be a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTag {
    /// The text as it was given.
    pub given: String,
}

impl Tag {
    /// The tag of a build that nobody and nothing gave one.
    pub fn untagged() -> Self {
        Self("untagged".into())
    }

    /// A tag from what `git describe` says; a git tag may have characters that a tag here has not.
    pub fn from_description(text: &str) -> Option<Self> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+-/".contains(letter);
        let text: String = text.trim().chars().map(|letter| if plain(letter) { letter } else { '-' }).collect();
        text.trim_start_matches(['.', '_', '+', '-', '/']).chars().take(LONGEST).collect::<String>().parse().ok()
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = BadTag;

    fn from_str(text: &str) -> Result<Self, BadTag> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-/".contains(&byte);
        let starts_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if starts_well && text.len() <= LONGEST && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTag { given: text.to_owned() })
        }
    }
}

impl TryFrom<String> for Tag {
    type Error = BadTag;

    fn try_from(text: String) -> Result<Self, BadTag> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for BadTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot be a tag", self.given)
    }
}

impl std::error::Error for BadTag {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tag_has_nothing_that_means_something_elsewhere(text in prop_oneof![any::<String>(), "[a-z/.+\n%-]{0,120}"]) {
            for tag in [text.parse().ok(), Tag::from_description(&text)].into_iter().flatten() {
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+-/".contains(letter);
                prop_assert!(tag.as_str().starts_with(|first: char| first.is_ascii_alphanumeric()), "{}", tag);
                prop_assert!(tag.as_str().chars().all(plain) && tag.as_str().len() <= LONGEST, "{}", tag);
                prop_assert_eq!(tag.as_str().parse(), Ok(tag.clone()));
            }
        }
    }

    #[test]
    fn versions_and_git_descriptions_are_tags() {
        for text in ["1", "v1.4", "v1.4-3-g0d1e2f3-dirty", "release/2026-11", "1.0+local"] {
            assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_git_description_becomes_a_tag() {
        let of = |text| Tag::from_description(text).map(String::from);
        assert_eq!(of("v1.0-3-gabc\n"), Some("v1.0-3-gabc".into()));
        assert_eq!(of("@next(1)"), Some("next-1-".into()));
        assert_eq!(of("---"), None);
    }

    #[test]
    fn what_means_something_elsewhere_is_refused() {
        let long = "x".repeat(LONGEST + 1);
        for text in ["", "-v", ".x", "a b", "a\nb", "%d", "$(x)", "@(x)", "a;b", "a{b", "é", &long] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
    }
}
