//! Keys and sections that do not exist, and what was probably meant.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeString;

use super::error::Problem;

/// The keys of every section that has been read.
pub(super) type Known = Vec<(&'static str, Vec<&'static str>)>;

/// A key that no section asked for. What it is near to is known once all sections are read.
pub(super) struct Unknown {
    section: Option<&'static str>,
    name: String,
    pub at: Range<usize>,
}

impl Unknown {
    pub(super) fn new(section: Option<&'static str>, name: &Spanned<DeString>) -> Self {
        Unknown { section, name: name.get_ref().to_string(), at: name.span() }
    }

    /// The section and the key, as an error shows them.
    pub(super) fn key(&self) -> String {
        match self.section {
            Some(section) => format!("{section}.{}", shown_key(&self.name)),
            None => shown_key(&self.name),
        }
    }

    pub(super) fn problem(&self, sections: &Known) -> Problem {
        let own = sections.iter().find(|(name, _)| Some(*name) == self.section);
        let known: Vec<_> = match own {
            Some((_, keys)) => keys.clone(),
            None => sections.iter().map(|(name, _)| *name).collect(),
        };
        let elsewhere = || sections.iter().find(|(_, keys)| keys.contains(&self.name.as_str()));
        let nearest = match (nearest(&self.name, &known), self.section) {
            (Some(key), Some(section)) => Some(format!("{section}.{key}")),
            (Some(section), None) => Some(section.to_string()),
            (None, _) => elsewhere().map(|(section, _)| format!("{section}.{}", self.name)),
        };
        Problem::UnknownKey { section: self.section, nearest, known }
    }
}

/// The word of `known` that `word` was probably meant to be: a third of it may be mistyped, or one
/// of the two is a part of the other.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    let distance = |known: &&str| strsim::osa_distance(&word, known);
    let mistyped = known.iter().copied().min_by_key(distance);
    let shares = |known: &&str| word.len() > 2 && (known.contains(&word) || word.contains(known));
    mistyped
        .filter(|nearest| distance(nearest) <= nearest.len().div_ceil(3))
        .or_else(|| known.iter().copied().find(shares))
}

/// A key as TOML writes it, so that control characters of a quoted one do not reach the terminal.
pub(super) fn shown_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_string() } else { format!("{key:?}") }
}
