use clap::Args;

use super::Cli;
use crate::error::Result;
use crate::model::change::Action;
use crate::report::Done;
use crate::serve::pause;

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds resume")]
pub struct Arguments {}

/// Takes no lock: the process that passes on what waits has that of the build.
pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let resume = |name| {
        site.noting(Action::Resume, name, |deed| {
            let (waited, paused) = pause::end(&site, name)?;
            let changed = paused || waited > 0;
            deed.reason(&format!("{waited} had waited"));
            deed.changed(changed);
            Ok((waited, changed))
        })
    };
    // All of them, before one that fails is told of.
    let ended: Vec<_> = pause::all(&site)?.into_iter().map(|name| (name, resume(name))).collect();
    let (mut held, mut resumed) = (0, Vec::new());
    for (name, ended) in ended {
        let (waited, changed) = ended?;
        held += waited;
        if changed {
            resumed.push(name);
        }
    }
    let text = match resumed.is_empty() {
        true => "nothing was paused".into(),
        false => format!("requests go on; {held} had waited"),
    };
    Ok(Done::changed(!resumed.is_empty(), text).with("builds", resumed).with("held", held))
}
