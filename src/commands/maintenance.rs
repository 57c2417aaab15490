use clap::{Args, ValueEnum};

use super::Cli;
use crate::error::Result;
use crate::model::change::Action;
use crate::report::Done;
use crate::serve::maintenance;

/// Which way.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds maintenance on")]
pub struct Arguments {
    /// Whether visitors of live get the page of conf/pages/maintenance.html
    #[arg(value_enum)]
    switch: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let on = arguments.switch == Switch::On;
    let changed = site.noting(Action::Maintenance, None, |deed| {
        deed.lock_links()?;
        deed.reason(if on { "on" } else { "off" });
        let changed = if on { maintenance::begin(&site)? } else { maintenance::end(&site)? };
        deed.changed(changed);
        Ok(changed)
    })?;
    let health = &site.config.nginx.health_path;
    let text = match (on, changed) {
        (true, true) => format!("maintenance is on: visitors of live get 503, but for {health}"),
        (true, false) => "maintenance was on already".into(),
        (false, true) => "maintenance is off".into(),
        (false, false) => "maintenance was off already".into(),
    };
    Ok(Done::changed(changed, text).with("maintenance", on))
}
