//! The canary's workers: how they come beside those of the live build, and go.

use super::zerg;
use crate::error::{Error, Result};
use crate::model::canary::Canary;
use crate::model::observed::{Worker, all_ready};
use crate::serve::stats;
use crate::site::Site;
use crate::system::files::{self, Mode};

/// What `conf/zergs.ini` must tell the emperor to look for.
const LINK: &str = "canary.ini";

/// Starts the workers and returns them when all have loaded the application. The caller holds the locks of both builds.
///
/// # Errors
/// The application does not load, or the site's `conf/` is older than canaries. There is no canary then.
pub fn start(site: &Site, canary: &Canary) -> Result<Vec<Worker>> {
    check_conf(site)?;
    let (zerg, threads) = (site.layout.build(canary.of).zerg_socket(), site.config.uwsgi.threads);
    let paths = site.layout.build(canary.name);
    files::write(&paths.canary_of(), canary.ini(&zerg, threads).as_bytes(), Mode::Public)?;
    zerg::start_canary(site, canary).inspect_err(|_| {
        if !files::exists(&paths.canary_ini()) {
            files::remove(&paths.canary_of()).ok();
        }
    })
}

/// Lets the workers finish what they have and ends them; whether there were any. The caller holds the lock of their build.
///
/// # Errors
/// Requests do not end in time; the workers then take requests again.
pub fn stop(site: &Site, canary: &Canary) -> Result<bool> {
    let stopped = zerg::stop_canary(site, canary)?;
    // Without the link it says nothing, and the next canary writes it anew.
    files::remove(&site.layout.build(canary.name).canary_of()).ok();
    Ok(stopped)
}

/// The workers, where they answer.
pub fn workers(site: &Site, canary: &Canary) -> Option<Vec<Worker>> {
    stats::workers(&site.canary_paths(canary).stats()).ok()
}

/// Whether all workers take requests, and no end that was killed has told them to pause.
pub fn serves(site: &Site, canary: &Canary) -> bool {
    !files::exists(&site.canary_paths(canary).draining())
        && workers(site, canary).is_some_and(|workers| all_ready(&workers))
}

/// That the emperor has not noticed a canary, as it was started before it was told to look for one.
pub(super) fn overlooked(site: &Site) -> Error {
    let ini = site.layout.conf().join("zergs.ini");
    lacking(format!("the zergs' emperor was started before {} said so", ini.display()), "start that emperor again")
}

/// Checks that the site's own files know of canaries: they were written once, maybe by an older `builds`.
fn check_conf(site: &Site) -> Result<()> {
    let (skeleton, zergs) = (site.layout.conf().join("canary.skel"), site.layout.conf().join("zergs.ini"));
    if !files::exists(&skeleton) {
        return Err(lacking(format!("{} is missing", skeleton.display()), "builds init writes it"));
    }
    let told = |line: &str| line.trim_start().starts_with("emperor") && line.trim_end().ends_with(LINK);
    if !files::read(&zergs)?.unwrap_or_default().lines().any(told) {
        let why = format!("{} does not tell the emperor to look for {LINK}", zergs.display());
        return Err(lacking(why, "builds doctor shows the line that is missing; then start that emperor again"));
    }
    Ok(())
}

fn lacking(cause: String, next: &str) -> Error {
    Error::Unmet { problem: "this site is not ready for a canary".into(), cause, next: next.into() }
}
