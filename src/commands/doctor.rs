use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::Cli;
use crate::error::{Error, Result};
use crate::report::Done;
use crate::serve::checkup::{self, Finding};

/// Takes nothing.
#[derive(Debug, Args)]
pub struct Arguments {}

#[derive(Serialize)]
struct Row {
    problem: bool,
    found: String,
    next: String,
}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let findings = checkup::examine(&site);
    let problems = findings.iter().filter(|finding| finding.problem).count();
    let text = shown(&findings);
    if problems > 0 {
        return Err(Error::Doctor { problems, findings: text });
    }
    let text = if text.is_empty() { "everything is in order".into() } else { text };
    let rows: Vec<Row> = findings.into_iter().map(Row::from).collect();
    Ok(Done::looked(text).with("findings", rows))
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let kind = if finding.problem { "problem" } else { "notice " };
        write!(text, "{kind} {}\n   next {}\n", finding.found, finding.next).unwrap_or_default();
    }
    text.trim_end().to_owned()
}

impl From<Finding> for Row {
    fn from(finding: Finding) -> Self {
        Self { problem: finding.problem, found: finding.found, next: finding.next }
    }
}
