//! Moving `_live` and `_stage`, and letting nginx follow.

use std::path::Path;

use super::conf;
use super::nginx::{self, Nginx};
use crate::error::{Error, Result};
use crate::model::config::Upstream;
use crate::model::layout::Role;
use crate::model::observed::Names;
use crate::model::rules::{self, Move};
use crate::site::Site;
use crate::system::{exchange, files, signals};

/// What moving the names took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whether a link was changed.
    pub links: bool,
    /// Whether nginx was reloaded.
    pub reloaded: bool,
}

/// Moves the names. The caller holds their lock, and that of each build that gets a name.
///
/// nginx follows the links by itself in `socket` mode. In `port` mode it is tested and reloaded, also where nothing is
/// left to move: an earlier command may have been killed between the two.
///
/// # Errors
/// Nothing was moved; or nginx refused what the names meant then, and they were moved back.
pub fn move_to(site: &Site, from: Names, to: Names) -> Result<Moved> {
    conf::check_pass(site)?;
    for role in [Role::Live, Role::Stage] {
        exchange::settle(&site.layout.link(role))?;
    }
    let nginx = match nginx::find(site) {
        Ok(nginx) => Some(nginx),
        Err(trouble) if site.config.nginx.upstream == Upstream::Port => return Err(trouble.into()),
        Err(_) => None,
    };
    let loaded = nginx.as_ref().map(Nginx::loaded).transpose()?.flatten();
    // A build may be older than a change of nginx.upstream.
    for name in [to.live, to.stage].into_iter().flatten().filter(|&name| site.is_build(name)) {
        conf::write_upstreams(site, name, site.own_port(name)?)?;
    }
    let links = take(site, from, to)?;
    let Some(nginx) = nginx else {
        tracing::warn!("nginx does not run: builds up, or start the host's nginx");
        return Ok(Moved { links, reloaded: false });
    };
    match nginx.follow(loaded.as_deref()) {
        Ok(reloaded) => Ok(Moved { links, reloaded }),
        Err(error) if links && from.live.is_some() => {
            take(site, to, from)?;
            // A reload that came too late may still happen, and must not be the last.
            if nginx.loaded()?.is_none() {
                signals::shielded(|| nginx.follow(None)).ok();
            }
            Err(Error::RolledBack(Box::new(error)))
        }
        Err(error) => Err(error),
    }
}

/// Takes all steps, or none where one fails; whether there was any.
fn take(site: &Site, from: Names, to: Names) -> Result<bool> {
    let moves = rules::moves(from, to);
    let taken = moves.iter().try_for_each(|step| one(site, *step));
    if let (Err(_), true, Ok(now)) = (&taken, from.live.is_some() && from.stage.is_some(), site.names()) {
        rules::moves(now, from).into_iter().try_for_each(|step| one(site, step)).ok();
    }
    taken.map(|()| !moves.is_empty())
}

fn one(site: &Site, step: Move) -> Result<()> {
    match step {
        Move::Exchange => exchange::exchange(&site.layout.link(Role::Live), &site.layout.link(Role::Stage)),
        Move::Point(role, name) => files::link(Path::new(&name.to_string()), &site.layout.link(role)),
    }
}
