//! The file as a whole. What is wrong with it is kept until all is read: the sections are read in
//! our order, and an operator repairs a file from the top.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{Advice, ConfigError, Problem};
use super::kind::type_name;
use super::rule::Rule;
use super::section::Section;
use super::unknown::{Known, Unknown};

/// As many characters of a value as an error shows.
const MOST_SHOWN: usize = 80;

pub(super) struct Document<'t> {
    text: &'t str,
    file: &'t Path,
    entries: DeTable<'t>,
    known: Known,
    /// Where the values stand that the file gives, by `section.key`.
    given: BTreeMap<String, Range<usize>>,
    unknown: Vec<Unknown>,
    refused: Vec<(Option<usize>, ConfigError)>,
}

impl<'t> Document<'t> {
    pub(super) fn parse(text: &'t str, file: &'t Path) -> Result<Self, ConfigError> {
        let (entries, errors) = DeTable::parse_recoverable(text);
        let mut document = Document {
            text,
            file,
            entries: entries.into_inner(),
            known: Vec::new(),
            given: BTreeMap::new(),
            unknown: Vec::new(),
            refused: Vec::new(),
        };
        // The parser reports in the order of its passes, not of the lines.
        for error in errors {
            // Its message alone: it would display with the line, which may hold a secret.
            let problem = Problem::Syntax { message: error.message().to_string() };
            document.push(error.span(), None, None, problem);
        }
        document.first_refused()?;
        Ok(document)
    }

    /// Reads the section `name` with `read`, which takes every key that it knows.
    pub(super) fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_, 't>) -> T) -> T {
        let given = self.entries.remove(name);
        let at = given.as_ref().map(|value| value.span());
        let entries = match given.map(|value| value.into_inner()) {
            None => DeTable::new(),
            Some(DeValue::Table(entries)) => entries,
            Some(other) => {
                let example = format!("[{name}]");
                let write = "a section, with its keys on the lines below".to_string();
                let (found, wanted) = (type_name(&other), "a section");
                let problem = Problem::WrongType { found, wanted, advice: Advice { write, example } };
                self.push(at, Some(name.to_string()), None, problem);
                DeTable::new()
            }
        };
        let mut section = Section::new(self, name, entries);
        let value = read(&mut section);
        let (keys, unknown) = section.close();
        self.known.push((name, keys));
        self.unknown.extend(unknown);
        value
    }

    /// The directory of the file.
    pub(super) fn dir(&self) -> &'t Path {
        self.file.parent().unwrap_or(self.file)
    }

    /// Keeps in mind that the file gives a value for `section.key`.
    pub(super) fn note(&mut self, key: &str, at: Range<usize>) {
        self.given.insert(key.to_string(), at);
    }

    /// The key to blame when values that are right on their own contradict each other: the first of
    /// `keys` that the file gives, or the first of all if it gives none. `None` if one of them is
    /// refused already, for its default proves nothing then.
    pub(super) fn blame(&self, keys: &[&'static str]) -> Option<&'static str> {
        let refused = |key: &&str| self.refused.iter().any(|(_, e)| e.key.as_deref() == Some(*key));
        if keys.iter().any(refused) {
            return None;
        }
        keys.iter().find(|&&key| self.given.contains_key(key)).or(keys.first()).copied()
    }

    /// Refuses the value of `section.key` after it has been read.
    pub(super) fn refuse(&mut self, key: &str, rule: Rule, advice: Advice) {
        let at = self.given.get(key).cloned();
        let value = at.clone().and_then(|at| self.show(at, false));
        self.push(at, Some(key.to_string()), value, Problem::Value { rule, advice });
    }

    /// The line of each key that the file gives, from 1.
    pub(super) fn lines(&self) -> BTreeMap<String, usize> {
        self.given.iter().map(|(key, at)| (key.clone(), self.line(at.start))).collect()
    }

    /// The first problem in the order of the file, if there is one.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        let sections = std::mem::take(&mut self.entries);
        self.unknown.extend(sections.iter().map(|(name, _)| Unknown::new(None, name)));
        for unknown in std::mem::take(&mut self.unknown) {
            let problem = unknown.problem(&self.known);
            self.push(Some(unknown.at.clone()), Some(unknown.key()), None, problem);
        }
        self.first_refused()
    }

    fn first_refused(&mut self) -> Result<(), ConfigError> {
        // Defaults stand nowhere in the file, so a problem with them comes last.
        let place = |at: &Option<usize>| at.unwrap_or(usize::MAX);
        match self.refused.drain(..).min_by_key(|(at, _)| place(at)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Keeps a problem; the earliest one wins.
    pub(super) fn push(
        &mut self,
        at: Option<Range<usize>>,
        key: Option<String>,
        value: Option<String>,
        problem: Problem,
    ) {
        let at = at.map(|at| at.start);
        let line = at.map(|at| self.line(at));
        let problem = Box::new(problem);
        let error = ConfigError { file: self.file.to_path_buf(), line, key, value, problem };
        self.refused.push((at, error));
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        // What is missing at the end of the file is missing from its last line.
        (before + 1).min(self.text.lines().count().max(1))
    }

    /// The text of a value, or of an item of a list.
    pub(super) fn show(&self, at: Range<usize>, in_list: bool) -> Option<String> {
        let text = self.text.get(at)?;
        let mut shown: String = text.chars().take(MOST_SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        let shown = shown.replace(char::is_control, " ");
        Some(if in_list { format!("[… {shown} …]") } else { shown })
    }
}
