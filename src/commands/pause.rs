use std::time::Duration;

use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::change::Action;
use crate::model::name::BuildRef;
use crate::report::Done;
use crate::serve::pause;
use crate::system::files;

/// For how long.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds pause && builds run stage -- python manage.py migrate; builds resume")]
pub struct Arguments {
    /// Requests go on after so many seconds by themselves: nginx waits 60 s for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=50))]
    max: u64,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(BuildRef::Live)?;
    let (pause, begun) = site.noting(Action::Pause, name, |deed| {
        deed.reason(&format!("for {} s at most", arguments.max));
        // Its workers would go on answering beside those that are to be quiet.
        site.check_no_canary("pause", name)?;
        let (pause, begun) = pause::begin(&site, name, Duration::from_secs(arguments.max))?;
        deed.changed(begun);
        Ok((pause, begun))
    })?;
    let (already, left) = (if begun { "" } else { " already" }, pause.until.saturating_sub(files::now()));
    Ok(Done::changed(
        begun,
        format!("build {name} is paused{already}: requests wait for {left} s, or until builds resume"),
    )
    .with("build", name)
    .with("until", pause.until))
}
