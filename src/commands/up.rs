use std::net::TcpListener;

use clap::Args;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::config::Listen;
use crate::report::Done;
use crate::serve::conf;
use crate::serve::emperor::Emperor;
use crate::serve::nginx;
use crate::site::Site;
use crate::system::process::Run;

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds up")]
pub struct Arguments {}

/// Becomes uWSGI, which supervises everything else; so there is no result but an error.
pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    conf::write_missing(&site)?;
    refuse_second(&site)?;
    Run::new(&site.config.nginx.binary)
        .args(["-t", "-q", "-e", "stderr", "-c"])
        .arg(site.layout.conf().join("nginx.conf"))
        .output()?;
    tracing::info!(
        "live on {}, stage on {}; Ctrl-C stops everything",
        site.config.nginx.live_listen,
        site.config.nginx.stage_listen
    );
    Err(Run::new(&site.config.uwsgi.binary).arg("--ini").arg(site.layout.conf().join("up.ini")).replace().into())
}

/// A second stack would take over the first one's sockets.
fn refuse_second(site: &Site) -> Result<()> {
    if Emperor::Vassals.check(site).is_ok() {
        return Err(Error::Unmet {
            problem: "the site is up already".into(),
            cause: "its emperor answers, and a second one would take over its sockets".into(),
            next: "builds status shows it; stop the other builds up with Ctrl-C first".into(),
        });
    }
    if nginx::has_orphans(site)? {
        return Ok(());
    }
    for listen in [&site.config.nginx.live_listen, &site.config.nginx.stage_listen] {
        free(listen)?;
    }
    Ok(())
}

fn free(listen: &Listen) -> Result<()> {
    let address = listen.address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    match TcpListener::bind((address, listen.port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Unmet {
            problem: format!("nginx cannot listen on {listen}"),
            cause: error.to_string(),
            next: format!(
                "ss -ltnp 'sport = {}' shows whose it is; or change nginx.live_listen and stage_listen",
                listen.port
            ),
        }),
    }
}
