//! Build names: a, b, … z, aa, ab, … (bijective base 26).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name; its number still fits in a `u32`.
const LONGEST: usize = 6;
/// Names of the sequence that mean something else on the command line.
const RESERVED: [&str; 2] = ["live", "stage"];

/// The name of a build. Only names of the sequence exist, so a path that is made of one stays where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildName {
    number: u32,
}

/// A text that is no build name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// The text as it was given.
    pub given: String,
}

impl BuildName {
    /// The first name, a.
    pub const FIRST: Self = Self { number: 0 };

    /// The name's place in the sequence: a is 0, z is 25, aa is 26.
    pub fn number(self) -> u32 {
        self.number
    }

    /// The name at a place of the sequence.
    pub fn from_number(number: u32) -> Self {
        Self { number }
    }

    /// What a user who typed this name may have meant: those builds, or roles, that one slip away from it, such as a letter
    /// too many or two in the wrong order, leads to.
    pub fn nearest(self, existing: impl IntoIterator<Item = Self>) -> Vec<String> {
        let typed = self.to_string();
        let all = existing.into_iter().map(|name| name.to_string()).chain(RESERVED.map(str::to_owned));
        // Of one letter another is no slip.
        let near = |known: &String| strsim::osa_distance(&typed, known) == 1 && typed.len().max(known.len()) > 1;
        all.filter(near).collect()
    }

    /// All names in order: a, b, … z, aa, ….
    pub fn sequence() -> impl Iterator<Item = Self> {
        (0..u32::MAX).map(Self::from_number)
    }
}

impl FromStr for BuildName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName { given: text.to_owned() };
        let of_letters = !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_lowercase());
        if !of_letters || text.len() > LONGEST || RESERVED.contains(&text) {
            return Err(bad());
        }
        let place = text.bytes().fold(0, |sum, letter| sum * 26 + u32::from(letter - b'a') + 1);
        Ok(Self { number: place - 1 })
    }
}

impl fmt::Display for BuildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = Vec::with_capacity(LONGEST);
        let mut rest = self.number + 1;
        while rest > 0 {
            letters.push(char::from(b'a' + ((rest - 1) % 26) as u8));
            rest = (rest - 1) / 26;
        }
        f.pad(&letters.iter().rev().collect::<String>())
    }
}

impl Serialize for BuildName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BuildName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|bad: BadName| serde::de::Error::custom(bad.to_string()))
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no build name", shortened(&self.given))
    }
}

impl std::error::Error for BadName {}

/// Enough of a text to recognize it by; an argument may be as long as the kernel allows.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

/// A build as a user names it: by its letters, or by the role that it has at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildRef {
    /// The build of this name.
    Name(BuildName),
    /// Whatever `_live` points to.
    Live,
    /// Whatever `_stage` points to.
    Stage,
}

impl FromStr for BuildRef {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text {
            "live" => Ok(Self::Live),
            "stage" => Ok(Self::Stage),
            name => name.parse().map(Self::Name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slip_leads_to_what_was_meant() {
        let existing = || ["a", "b", "aa", "ab", "abc"].map(|name| name.parse::<BuildName>().unwrap());
        for (typed, meant) in [
            ("bb", "b ab"),
            ("ba", "a b aa ab"),
            ("c", ""),
            ("acb", "ab abc"),
            ("lvie", "live"),
            ("staged", "stage"),
            ("lives", "live"),
            ("zzz", ""),
        ] {
            assert_eq!(typed.parse::<BuildName>().unwrap().nearest(existing()).join(" "), meant, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_what_it_shows(text in prop_oneof![any::<String>(), "[a-z]{1,7}", "[a-z./ \n]{1,7}"]) {
            match text.parse::<BuildName>() {
                Ok(name) => prop_assert_eq!(&name.to_string(), &text),
                Err(bad) => prop_assert!(!bad.to_string().contains(char::is_control)),
            }
            drop(text.parse::<BuildRef>());
        }

        #[test]
        fn every_number_has_a_name_of_letters(number in 0..u32::MAX) {
            let name = BuildName::from_number(number).to_string();
            prop_assert!(name.bytes().all(|letter| letter.is_ascii_lowercase()), "{}", name);
        }
    }

    #[test]
    fn the_sequence_starts_as_people_count_letters() {
        let names: Vec<String> = BuildName::sequence().take(29).map(|name| name.to_string()).collect();
        assert_eq!(names[..3], ["a", "b", "c"]);
        assert_eq!(names[25..], ["z", "aa", "ab", "ac"]);
        assert_eq!(BuildName::from_number(26 + 26 * 26).to_string(), "aaa");
    }

    #[test]
    fn the_first_20_000_names_round_trip_in_order() {
        for (number, name) in (0..20_000).zip(BuildName::sequence()) {
            assert_eq!(name.number(), number);
            assert_eq!(name.to_string().parse(), Ok(name));
        }
    }

    #[test]
    fn what_is_not_of_the_sequence_is_refused() {
        let long = "a".repeat(300);
        for text in ["", "A", "_live", "../x", "a/b", "a1", "-h", "é", " a", "a ", "a\n", "a\0", "live", "stage", &long]
        {
            assert!(text.parse::<BuildName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_longest_name_does_not_overflow() {
        let last: BuildName = "zzzzzz".parse().unwrap();
        assert_eq!(last.to_string(), "zzzzzz");
        assert!("aaaaaaa".parse::<BuildName>().is_err());
    }

    #[test]
    fn a_role_stands_for_a_build() {
        assert_eq!("live".parse(), Ok(BuildRef::Live));
        assert_eq!("stage".parse(), Ok(BuildRef::Stage));
        assert_eq!("ab".parse(), Ok(BuildRef::Name(BuildName::from_number(27))));
    }
}
