//! The end of a deploy: what is no longer needed for a way back.

use super::super::{prune, stop};
use crate::error::Result;
use crate::model::observed::State;
use crate::model::retention::Limits;
use crate::site::Site;

/// Stops the builds that were live, but for the latest, and removes what need not stay. The new build is live by now, so
/// nothing of this is a failure of its deploy.
pub fn retire(site: &Site) -> String {
    let stopped = or_tell(stop_former(site));
    let limits = Limits { keep: site.config.keep.builds.into(), older_than: None };
    let removed = or_tell(prune::prune(site, limits).map(|plan| plan.rows.iter().filter(|row| row.goes).count()));
    format!("{stopped} stopped, {removed} removed")
}

/// Stops those that nobody needs any more, and returns how many there were.
fn stop_former(site: &Site) -> Result<usize> {
    let (names, canary) = (site.names()?, site.canary()?);
    let former = site.lives()?.former(names.live);
    let mut stopped = 0;
    for name in former.into_iter().skip(site.config.keep.warm.into()) {
        let needed =
            names.role(name).is_some() || canary.is_some_and(|canary| [canary.name, canary.of].contains(&name));
        if needed || !site.is_build(name) {
            continue;
        }
        // What another command works on is its business.
        let Some(_lock) = site.try_lock_build(name)? else { continue };
        if site.names()?.role(name).is_none() && site.observe(name)?.state() > State::Stopped {
            stopped += or_tell(stop::stop(site, name).map(usize::from));
        }
    }
    Ok(stopped)
}

/// How many, or none and why.
fn or_tell(done: Result<usize>) -> usize {
    done.unwrap_or_else(|error| {
        tracing::warn!("{}: {}; {}", error.what(), error.cause(), error.next());
        0
    })
}
