use std::io;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::change::{self, Action};
use crate::model::freeze::Freeze;
use crate::report::Done;
use crate::system::files::{self, Mode};
use crate::system::who;

/// Why.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds freeze \"no deploys on black friday\"")]
pub struct Arguments {
    /// Why nobody may deploy; who tries is told
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    // With their lock: who moves the names now has moved them when this returns.
    let (changed, freeze) = site.noting(Action::Freeze, None, |deed| {
        deed.lock_links()?;
        if let Some(freeze) = site.frozen()? {
            deed.changed(false);
            return Ok((false, freeze));
        }
        let freeze = Freeze { at: files::now(), by: who::user(), reason: change::reason(&arguments.reason, "") };
        deed.reason(&freeze.reason);
        let path = site.layout.freeze();
        let mut text = serde_json::to_vec(&freeze).map_err(io::Error::from).map_err(Error::io("write", &path))?;
        text.push(b'\n');
        files::write(&path, &text, Mode::Public)?;
        Ok((true, freeze))
    })?;
    let text = if changed { "is frozen" } else { "was frozen already" };
    Ok(Done::changed(changed, format!("the site {text} {}", freeze.told())).with("frozen", freeze))
}
