use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};

use super::Cli;
use crate::error::Result;
use crate::model::change::{self, Action};
use crate::model::manifest::Bad;
use crate::model::name::BuildName;
use crate::model::rules::Refusal;
use crate::report::Done;
use crate::site::Site;
use crate::system::files;

/// Which build, and what it is.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("verdict").required(true))]
#[command(after_help = "Example: builds mark c --bad \"500 at /cart\"")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
    /// It must not be staged, go live or be rolled back to, for this reason
    #[arg(long, value_name = "REASON", group = "verdict", value_parser = NonEmptyStringValueParser::new())]
    bad: Option<String>,
    /// It may again
    #[arg(long, group = "verdict")]
    good: bool,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let reason = arguments.bad.as_deref();
    let changed = mark(&site, name, reason)?;
    let text = match (reason, changed) {
        (Some(reason), _) => format!("build {name} is bad: {reason}"),
        (None, true) => format!("build {name} is good"),
        (None, false) => format!("build {name} was good already"),
    };
    Ok(Done::changed(changed, text).with("build", name).with("bad", site.manifest(name)?.and_then(|made| made.bad)))
}

/// Marks a build as bad for a reason, or else as good; whether it was not so before. The caller holds the build's lock.
///
/// # Errors
/// It has no manifest, or the new one cannot be written.
pub fn mark(site: &Site, name: BuildName, reason: Option<&str>) -> Result<bool> {
    site.noting(Action::Mark, name, |deed| {
        let mut manifest = site.manifest(name)?.ok_or(Refusal::Incomplete(name))?;
        let reason = reason.map(|reason| change::reason(reason, ""));
        if manifest.bad.as_ref().map(|bad| &bad.reason) == reason.as_ref() {
            deed.changed(false);
            return Ok(false);
        }
        deed.reason(reason.as_deref().unwrap_or("good"));
        manifest.bad = reason.map(|reason| Bad { at: files::now(), reason });
        site.write_manifest(&manifest).map(|()| true)
    })
}
