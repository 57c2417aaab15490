//! The section `[warmup]`.

use std::time::Duration;

use super::kind::Kind;
use super::kinds::{count, int, list, not_empty, one_or_more, seconds, text};
use super::rule::Rule;
use super::section::Section;

/// The section `[warmup]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warmup {
    /// The paths to ask a build for, each with `/` in front; a query may follow. Default: `["/"]`.
    pub paths: Vec<String>,
    /// Requests under way at the same time, 1 to 1024. Default: `6`.
    pub concurrency: u16,
    /// The HTTP statuses, 100 to 599, that count as a good answer: one, or a list. Default: `[200,
    /// 301, 302]`.
    pub expect: Vec<u16>,
    /// How long a build may take until it is warm, in seconds, 1 to 3600. Default: `60`.
    pub timeout: Duration,
}

impl Warmup {
    pub(super) fn read(section: &mut Section) -> Self {
        let paths = list("a list of paths that start with /", url_path()).and_then(not_empty);
        let statuses = one_or_more("an HTTP status from 100 to 599, or a list of them", int(100..=599));
        Warmup {
            paths: section.take("paths", r#"["/"]"#, paths),
            concurrency: section.take("concurrency", "6", count(1..=1024, "request")),
            expect: section.take("expect", "[200, 301, 302]", statuses.and_then(not_empty)),
            timeout: section.take("timeout", "60", seconds()),
        }
    }
}

fn url_path() -> Kind<String> {
    text("a path that starts with /").and_then(|text| match text.chars().find(|c| c.is_whitespace()) {
        Some(character) => Err(Rule::Character { character, allowed: "characters other than spaces" }),
        None if !text.starts_with('/') => Err(Rule::NoSlash),
        None => Ok(text),
    })
}
