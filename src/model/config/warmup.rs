//! The section `[warmup]`.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::kind::{Flaw, Kind, Value};
use super::kinds::{count, int, list, not_empty, one_or_more, seconds, text};
use super::rule::Rule;
use super::section::Section;

/// The section `[warmup]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warmup {
    /// The pages to ask a build for: a path with `/` in front, which a query may follow, or a table with `path`, `expect`
    /// and `contains`. Default: `["/"]`.
    pub paths: Vec<Page>,
    /// Requests under way at the same time, 1 to 1024. Default: `6`.
    pub concurrency: u16,
    /// The HTTP statuses, 100 to 599, that count as a good answer: one, or a list. Default: `[200,
    /// 301, 302]`.
    pub expect: Vec<u16>,
    /// The most milliseconds, 1 to 60000, that 95 of 100 answers of a warm build may take. Default: any number, which is
    /// `None` here.
    pub max_p95_ms: Option<u16>,
    /// How long a build may take until it is warm, in seconds, 1 to 3600. Default: `60`.
    pub timeout: Duration,
}

/// A page that a build is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The path, and the query if there is one.
    pub path: String,
    /// The statuses that count as a good answer; `None` for those of `[warmup]`.
    pub expect: Option<Vec<u16>>,
    /// A text that must stand in the answer.
    pub contains: Option<String>,
}

impl Warmup {
    pub(super) fn read(section: &mut Section) -> Self {
        let wanted = "a list of paths that start with /, or of tables with such a path, expect and contains";
        Warmup {
            paths: section.take("paths", r#"["/"]"#, list(wanted, page()).and_then(not_empty)),
            concurrency: section.take("concurrency", "6", count(1..=1024, "request")),
            expect: section.take("expect", "[200, 301, 302]", statuses()),
            max_p95_ms: section.option("max_p95_ms", "250", int(1..=60_000)),
            timeout: section.take("timeout", "60", seconds()),
        }
    }
}

fn statuses() -> Kind<Vec<u16>> {
    one_or_more("an HTTP status from 100 to 599, or a list of them", int(100..=599)).and_then(not_empty)
}

fn page() -> Kind<Page> {
    let path = url_path();
    Kind::new(path.wanted(), |value| match value.get_ref() {
        DeValue::Table(entries) => page_of(value, entries),
        _ => Ok(Page { path: url_path().read(value)?, expect: None, contains: None }),
    })
}

fn page_of(value: &Value, entries: &DeTable) -> Result<Page, Flaw> {
    let (mut path, mut expect, mut contains) = (None, None, None);
    for (key, value) in entries {
        match key.get_ref().as_ref() {
            "path" => path = Some(url_path().read(value)?),
            "expect" => expect = Some(statuses().read(value)?),
            "contains" => contains = Some(text("a text of the page").read(value)?),
            other => {
                let rule = Rule::UnknownKey { key: other.to_owned(), known: "path, expect and contains" };
                return Err(Flaw::rule(value, rule));
            }
        }
    }
    let path = path.ok_or_else(|| Flaw::rule(value, Rule::NoPath))?;
    Ok(Page { path, expect, contains })
}

fn url_path() -> Kind<String> {
    text("a path that starts with /").and_then(|text| match text.chars().find(|c| c.is_whitespace()) {
        Some(character) => Err(Rule::Character { character, allowed: "characters other than spaces" }),
        None if !text.starts_with('/') => Err(Rule::NoSlash),
        None => Ok(text),
    })
}
