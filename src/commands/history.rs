use clap::Args;

use super::Cli;
use super::table::table;
use crate::error::Result;
use crate::model::change::{Change, Outcome};
use crate::model::name::{BuildName, BuildRef};
use crate::model::time::utc;
use crate::report::Done;

/// What to show.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds history -n 5 c")]
pub struct Arguments {
    /// Only what was done to this build, or made it gain or lose a name
    build: Option<String>,
    /// How many changes, the latest ones
    #[arg(short, value_name = "N", default_value_t = 20)]
    number: usize,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let build = match arguments.build.as_deref().map(super::reference).transpose()? {
        // It may be gone.
        Some(BuildRef::Name(name)) => Some(name),
        Some(role) => Some(site.resolve(role)?),
        None => None,
    };
    let history = site.history()?;
    let damaged = history.changes().filter(Result::is_err).count();
    let wanted = |change: &Result<Change, &str>| match change {
        Ok(change) => build.is_none_or(|build| concerns(change, build)),
        Err(_) => build.is_none(),
    };
    let mut lines: Vec<Result<Change, &str>> = history.changes().rev().filter(wanted).take(arguments.number).collect();
    lines.reverse();
    let rows = lines.iter().map(|line| line.as_ref().map_or_else(|line| unreadable(line), row));
    let text = table(&["WHEN", "WHO", "ACTION", "BUILD", "TAG", "LIVE", "STAGE", "SECONDS", "COMMAND", "RESULT"], rows);
    let changes: Vec<&Change> = lines.iter().flatten().collect();
    Ok(Done::looked(text).with("changes", changes).with("damaged", damaged))
}

/// Whether a change was one of this build.
fn concerns(change: &Change, build: BuildName) -> bool {
    change.build == Some(build) || change.from.role(build) != change.to.role(build)
}

fn row(change: &Change) -> Vec<String> {
    let name = |name: Option<BuildName>| name.map_or_else(|| "-".into(), |name| name.to_string());
    let moved = |from: Option<BuildName>, to: Option<BuildName>| match from == to {
        true => "-".into(),
        false => format!("{} → {}", name(from), name(to)),
    };
    let result = |text: &str| change.reason.as_ref().map_or_else(|| text.into(), |reason| format!("{text}: {reason}"));
    vec![
        utc(change.at),
        change.by.told(),
        word(&change.action),
        name(change.build),
        change.tag.as_ref().map_or_else(|| "-".into(), ToString::to_string),
        moved(change.from.live, change.to.live),
        moved(change.from.stage, change.to.stage),
        format!("{:.2}", change.seconds),
        change.command.clone(),
        match change.result {
            Outcome::Done => result("done"),
            outcome => result(&format!("{} ({})", word(&outcome), change.code)),
        },
    ]
}

/// The word that stands for a value in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A line that is no change: a command was killed, or the disk was full, while it was written.
fn unreadable(line: &str) -> Vec<String> {
    const SHOWN: usize = 60;
    vec!["damaged:".into(), line.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect()]
}
