//! Maintenance: nginx answers for live, with 503 and a page. It looks for a file at each request, so that nobody has to
//! reload it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::{conf, nginx};
use crate::error::{Error, Result};
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::http::Browser;

/// A path that is neither the application's nor excepted.
const ASKED: &str = "/-/is-this-maintenance/";

/// The header of the page.
const MARK: &str = "x-builds-maintenance";

/// What a server says that has TLS, or sends everybody to one that has.
const ELSEWHERE: [u16; 3] = [301, 308, 400];

/// How long nginx may take to answer by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Since when live is in maintenance, in seconds since 1970; `None` where it is not.
pub fn since(site: &Site) -> Option<u64> {
    fs::metadata(site.layout.maintenance()).ok().map(|data| data.mtime().max(0) as u64)
}

/// Begins it, and looks whether visitors get the page; whether it had not begun before. The caller holds the lock of the names.
///
/// # Errors
/// nginx goes on with the application, as its configuration is older, or the file cannot be written. It has not begun.
pub fn begin(site: &Site) -> Result<bool> {
    conf::check_has(site, "locations.conf", "$own.maintenance", ", nginx -t and nginx -s reload")?;
    let (assets, flag) = (site.layout.assets(), site.layout.maintenance());
    files::sweep(std::slice::from_ref(&assets));
    if files::exists(&flag) {
        return check_page(site).map(|()| false);
    }
    files::directory(&assets)
        .and_then(|()| files::write(&flag, b"", Mode::Public))
        .and_then(|()| check_page(site))
        // Also where it was written, and only may not outlast a power cut.
        .inspect_err(|_| drop(files::remove(&flag)))
        .map(|()| true)
}

/// Ends it; whether it had begun.
///
/// # Errors
/// The file cannot be removed.
pub fn end(site: &Site) -> Result<bool> {
    files::remove(&site.layout.maintenance())
}

/// Checks that nginx shows the page.
fn check_page(site: &Site) -> Result<()> {
    if let Err(trouble) = nginx::find(site) {
        tracing::warn!("{trouble}");
        return Ok(());
    }
    let address = site.config.nginx.live_listen.reachable();
    let asked = Browser::at(address, &site.config.site.host, PATIENCE).and_then(|nginx| nginx.marked(ASKED, MARK));
    let page = site.layout.conf().join("pages/maintenance.html");
    let why = match asked {
        Ok((503, true)) => return Ok(()),
        Ok((status, true)) => {
            return Err(Error::Unmet {
                problem: "nginx has no page to show for maintenance".into(),
                cause: format!("at {address} it answers {status}: it cannot read {}", page.display()),
                next: format!("ls -l {} shows why; builds init writes one that is missing", page.display()),
            });
        }
        Ok((status, false)) if !ELSEWHERE.contains(&status) => {
            let host = &site.config.site.host;
            return Err(Error::Unmet {
                problem: "nginx does not show the page for maintenance".into(),
                cause: format!(
                    "at {address} it answers {status} for {host}: it has not read conf/ anew, may not look into {}, or \
                     another server has that name",
                    site.layout.assets().display(),
                ),
                next: "nginx -t and nginx -s reload, then the same command again".into(),
            });
        }
        Ok((status, false)) => format!("it answers {status}"),
        Err(reason) => reason,
    };
    tracing::warn!("nginx at {address} could not be asked whether it shows the page: {why}; look at the site yourself");
    Ok(())
}
