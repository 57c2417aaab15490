use std::fmt::Write;

use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::report::Done;
use crate::serve::checkup::{self, Finding};

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds doctor")]
pub struct Arguments {}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let findings = checkup::examine(&site);
    let problems = findings.iter().filter(|finding| finding.problem).count();
    if problems > 0 {
        return Err(Error::Doctor { problems, text: shown(&findings), findings });
    }
    let text = if findings.is_empty() { "everything is in order".into() } else { shown(&findings) };
    Ok(Done::looked(text).with("findings", findings))
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let kind = if finding.problem { "problem" } else { "notice " };
        write!(text, "{kind} {}\n   next {}\n", finding.found, finding.next).unwrap_or_default();
    }
    text.trim_end().to_owned()
}
