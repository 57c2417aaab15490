use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::name::BuildRef;
use crate::model::port::Port;
use crate::report::Done;
use crate::site::Site;

/// What to turn into the other.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds port live")]
pub struct Arguments {
    /// A build's name, live or stage; or a port
    #[arg(value_name = "NAME|PORT")]
    given: String,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let (site, given) = (cli.site()?, &arguments.given);
    if given.starts_with(|first: char| first.is_ascii_digit()) {
        let number = given.parse().ok();
        let name = number.and_then(|number| Port::owner(number, site.config.site.base_port));
        let (name, number) = name.zip(number).ok_or_else(|| Error::NotAPort(given.clone()))?;
        return Ok(Done::looked(name.to_string()).with("build", name).with("port", number));
    }
    let name = named(&site, super::reference(given)?)?;
    let port = site.port(name)?;
    Ok(Done::looked(port.to_string()).with("build", name).with("port", port.number()))
}

/// A port is a matter of arithmetic: the build need not exist.
fn named(site: &Site, reference: BuildRef) -> Result<crate::model::name::BuildName> {
    match reference {
        BuildRef::Name(name) => Ok(name),
        role => site.resolve(role),
    }
}
