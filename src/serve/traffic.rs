//! What the live server of nginx has had to do of late.

use crate::error::Result;
use crate::model::layout::Role;
use crate::model::requests::{Tally, parse};
use crate::site::Site;
use crate::system::{files, follow};

/// So many seconds are of late.
pub const RECENT: u64 = 300;

/// The most requests that are looked at: a busy site's are told by its last seconds.
const MOST: usize = 5000;

/// The requests of the last minutes, by the build that answered.
///
/// # Errors
/// The log cannot be read.
pub fn recent(site: &Site) -> Result<Tally> {
    let (mut tally, mut left) = (Tally::default(), MOST);
    let since = files::now().saturating_sub(RECENT) as f64;
    follow::backwards(&site.layout.requests_log(), |line| {
        left -= 1;
        let Some(request) = parse(line) else { return left > 0 };
        if request.role == Some(Role::Live) && request.at >= since {
            tally.add(&request);
        }
        left > 0 && request.at >= since
    })?;
    Ok(tally)
}
