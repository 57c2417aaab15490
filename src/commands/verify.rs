use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::listing::{self, Fate};
use crate::model::name::BuildName;
use crate::model::observed::State;
use crate::model::rules::Refusal;
use crate::report::Done;
use crate::site::Site;
use crate::steps::record;

/// Exits with this where something differs, so that a script tells it from a failure to look.
const DIFFERS: u8 = 5;

/// Which build.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds verify live\n\n\
    Size, time of modification and permissions of each file are compared, and where each link leads: an edit that keeps the\n\
    first two is not seen. Not compared is what uWSGI and builds write themselves: run/, build.json, the ini and conf files,\n\
    and bytecode in __pycache__. Exits with 5 if anything differs.")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
}

#[derive(Serialize)]
struct Row {
    path: String,
    fate: Fate,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let name = site.resolve(super::reference(&arguments.name)?)?;
    let rows = differing(&site, name)?;
    let mut text = String::new();
    for Row { path, fate } in &rows {
        let word = match fate {
            Fate::Added => "added",
            Fate::Edited => "edited",
            Fate::Mode => "mode",
            Fate::Removed => "removed",
        };
        writeln!(text, "{word:<8} {path}").unwrap_or_default();
    }
    if rows.is_empty() {
        text = format!("build {name} is as it was created, by size, time and permissions of its files");
    }
    let done = Done::looked(text).with("build", name).with("same", rows.is_empty());
    let code = if rows.is_empty() { 0 } else { DIFFERS };
    Ok(done.with("files", rows).code(code))
}

fn differing(site: &Site, name: BuildName) -> Result<Vec<Row>> {
    if site.observe(name)?.state() == State::Incomplete {
        return Err(Refusal::Incomplete(name).into());
    }
    let before = record::read(site, name)?.ok_or_else(|| Error::Unmet {
        problem: format!("nobody knows what the files of build {name} were"),
        cause: "its create was by an earlier version of builds, or could not write them down".into(),
        next: "builds create makes a build that can be verified".into(),
    })?;
    let now = record::look(site, name)?.into_iter().collect();
    // A newline in a name must not make a row of its own.
    let shown = |path: PathBuf| path.to_string_lossy().replace(char::is_control, "?");
    let differing = listing::differences(&before, &now).into_iter();
    Ok(differing.map(|(path, fate)| Row { path: shown(path), fate }).collect())
}
