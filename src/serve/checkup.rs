//! What can be wrong with a host or a site, each with what to type next.

mod builds;
mod disk;
mod host;
mod nginx;
mod ports;
mod site;
mod uwsgi;

use serde::Serialize;

use crate::error::Error;
use crate::site::Site;

/// Something that is not as it should be, or that an operator should know.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Whether the site cannot work like this.
    pub problem: bool,
    /// What was found.
    pub found: String,
    /// What to type next.
    pub next: String,
}

/// What is examined, in the order in which an operator mends it.
const EXAMINATIONS: [fn(&Site) -> Vec<Finding>; 18] = [
    host::programs,
    host::limits,
    disk::room,
    disk::exchange,
    site::source,
    site::stores,
    site::secrets,
    site::owners,
    site::outbox,
    uwsgi::skeletons,
    uwsgi::emperors,
    ports::ports,
    nginx::proxy,
    site::names,
    builds::builds,
    builds::strangers,
    disk::clock,
    disk::leftovers,
];

/// Examines the host and the site.
pub fn examine(site: &Site) -> Vec<Finding> {
    EXAMINATIONS.iter().flat_map(|examine| examine(site)).collect()
}

fn problem(found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { problem: true, found: found.into(), next: next.into() }
}

fn notice(found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { problem: false, found: found.into(), next: next.into() }
}

/// Turns an error of a check into a finding.
fn failed(error: &Error) -> Finding {
    problem(format!("{}: {}", error.what(), error.cause()), error.next())
}
