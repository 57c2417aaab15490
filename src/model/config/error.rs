//! What is wrong with a `builds.toml`, in three texts: what failed, why, and what to write instead.

use std::fmt;
use std::path::PathBuf;

use super::rule::Rule;

/// The first problem of a `builds.toml`. It displays as its three texts, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The absolute path of the file.
    pub file: PathBuf,
    /// The line, counted from 1. `None` if the problem is a default, which stands nowhere in the
    /// file, or if the TOML parser names no place.
    pub line: Option<usize>,
    /// The section and the key, `uwsgi.workers`. `None` if the text is not TOML.
    pub key: Option<String>,
    /// The value as the file has it, on one line and shortened. `None` for all of `[env]`, as it
    /// may be secret, and where no single value is to blame.
    pub value: Option<String>,
    /// The problem itself.
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The text is not TOML.
    Syntax {
        /// What the TOML parser says.
        message: String,
    },
    /// There is no key, or no section, of this name.
    UnknownKey {
        /// The section that the key stands in; `None` at the top, where only sections are known.
        section: Option<&'static str>,
        /// What was probably meant: `uwsgi.workers`, or `uwsgi` if it is a section.
        nearest: Option<String>,
        /// All that is known in this place.
        known: Vec<&'static str>,
    },
    /// The value, or an item of it, is of another type.
    WrongType {
        /// The type that it has.
        found: &'static str,
        /// The type that belongs there.
        wanted: &'static str,
        /// What to write instead.
        advice: Advice,
    },
    /// The value is of the right type and breaks a rule.
    Value {
        /// The rule that it breaks.
        rule: Rule,
        /// What to write instead.
        advice: Advice,
    },
}

/// What to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Completes the sentence "write …".
    pub write: String,
    /// A line that would be right.
    pub example: String,
}

impl Advice {
    /// Advises to write `example` as the value of the `key`, which may have its section in front.
    pub(super) fn new(write: impl Into<String>, key: &str, example: &str) -> Self {
        let key = key.split_once('.').map_or(key, |(_, key)| key);
        Advice { write: write.into(), example: format!("{key} = {example}") }
    }
}

impl ConfigError {
    /// What failed: `builds.toml line 4: uwsgi.workers = 0`.
    pub fn what(&self) -> String {
        let file = self.file.file_name().unwrap_or(self.file.as_os_str()).display();
        let line = self.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let key = self.key.as_deref().unwrap_or("this is not TOML");
        let value = self.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        format!("{file}{line}: {key}{value}")
    }

    /// Why: `there must be at least 1 worker`.
    pub fn cause(&self) -> String {
        match &*self.problem {
            Problem::Syntax { message } => message.clone(),
            Problem::UnknownKey { section: Some(section), .. } => {
                format!("the section [{section}] has no such key")
            }
            Problem::UnknownKey { section: None, .. } => "there is no such section".to_string(),
            Problem::WrongType { found, wanted, .. } => {
                format!("this is {found} where {wanted} belongs")
            }
            Problem::Value { rule, .. } => rule.to_string(),
        }
    }

    /// What to do: `write a number from 1 to 1024, for example: workers = 2`.
    pub fn next(&self) -> String {
        match &*self.problem {
            Problem::Syntax { .. } => {
                "write a section as [uwsgi] and a key as workers = 2, each on a line of its own; \
                 text stands in quotes: name = \"shop\""
                    .to_string()
            }
            Problem::UnknownKey { nearest: Some(nearest), .. } => match nearest.split_once('.') {
                Some((section, key)) => format!("write {key} in the section [{section}]"),
                None => format!("write [{nearest}]"),
            },
            Problem::UnknownKey { section: Some(_), known, .. } => {
                format!("delete it, or write one of these: {}", known.join(", "))
            }
            Problem::UnknownKey { section: None, known, .. } => {
                format!("delete it, or write one of these: [{}]", known.join("], ["))
            }
            Problem::WrongType { advice, .. } | Problem::Value { advice, .. } => {
                format!("write {}, for example: {}", advice.write, advice.example)
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.what(), self.cause(), self.next())
    }
}

impl std::error::Error for ConfigError {}
