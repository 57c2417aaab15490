use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::change::Action;
use crate::report::Done;
use crate::system::files;

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds thaw")]
pub struct Arguments {}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let changed = site.noting(Action::Thaw, None, |deed| {
        deed.lock_links()?;
        let removed = files::remove(&site.layout.freeze())?;
        deed.changed(removed);
        Ok(removed)
    })?;
    let text = if changed { "the site is thawed" } else { "the site was not frozen" };
    Ok(Done::changed(changed, text))
}
