//! Digests, and what goes into one: the key under which packages that are installed once are found again.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, in hexadecimal digits as `sha256sum` prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigest;

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// The digest of all that can be read.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(mut from: impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut block = vec![0; 1 << 18];
        loop {
            match from.read(&mut block)? {
                0 => return Ok(Self::finish(hasher)),
                length => hasher.update(&block[..length]),
            }
        }
    }

    fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.len() == 64 && text.bytes().all(hexadecimal) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoDigest),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is 64 hexadecimal digits")
    }
}

/// All that decides what a step makes: names, each with a version, an argument list or the digest of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// Adds one.
    pub fn add(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.0.insert(name.into(), value.to_string());
    }

    /// The digest of them all.
    pub fn key(&self) -> Digest {
        // Lengths, so that no two lists give the same bytes.
        let lines = self.0.iter().map(|(name, value)| format!("{} {name} {} {value}\n", name.len(), value.len()));
        Digest::of(lines.collect::<String>().as_bytes())
    }

    /// Whether some of them are the same in both.
    pub fn agree(&self, other: &Self, names: &[&str]) -> bool {
        names.iter().all(|&name| self.0.get(name) == other.0.get(name))
    }

    /// The names of them all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The names of those that differ, or that only one side has.
    pub fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let of_both = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        of_both.filter(|name| self.0.get(*name) != other.0.get(*name)).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(Digest::read(&b"abc"[..]).unwrap(), abc.parse().unwrap());
    }

    #[test]
    fn nothing_else_is_read_as_a_digest() {
        for text in [
            "",
            "abc",
            &"g".repeat(64),
            &"A".repeat(64),
            "../../../../../../../../../../../../../../../../../../../../x/y",
        ] {
            assert_eq!(text.parse::<Digest>(), Err(NoDigest), "{text}");
        }
    }

    fn inputs(pairs: &[(&str, &str)]) -> Inputs {
        let mut inputs = Inputs::default();
        pairs.iter().for_each(|(name, value)| inputs.add(*name, value));
        inputs
    }

    #[test]
    fn every_name_and_value_is_part_of_the_key() {
        let key = |pairs| inputs(pairs).key();
        assert_eq!(key(&[("a", "1"), ("b", "2")]), key(&[("b", "2"), ("a", "1")]));
        let different =
            [&[("a", "1")][..], &[("a", "2")], &[("b", "1")], &[("a", "1"), ("b", "")], &[("a", "1\n1 b 0 ")]];
        for (at, one) in different.iter().enumerate() {
            assert!(different[at + 1..].iter().all(|other| key(one) != key(other)), "{one:?}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let (old, new) = (inputs(&[("a", "1"), ("b", "2")]), inputs(&[("a", "1"), ("b", "3"), ("c", "")]));
        assert_eq!((new.differing(&old), old.differing(&new)), (vec!["b", "c"], vec!["b", "c"]));
        assert_eq!(new.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(new.agree(&old, &["a", "d"]) && !new.agree(&old, &["a", "b"]));
    }
}
