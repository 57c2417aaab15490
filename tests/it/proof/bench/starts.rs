//! How long workers take to be there.

use super::row::{Required, Row, Unit};
use super::{Bench, by_turns, seconds, shop};
use crate::site::Site;

const ACTIVATE: Row = Row {
    what: "activate, until ready",
    rival: "importing the application once",
    unit: Unit::Seconds,
    required: Required::AtMostMore(0.5),
};

pub const STARTS: [Row; 2] =
    [ACTIVATE, Row { what: "stage of a new build, until done", required: Required::AtMostMore(1.0), ..ACTIVATE }];

pub const DEPLOY: [Row; 1] = [Row {
    what: "deploy of an unchanged site",
    rival: "create of the same",
    unit: Unit::Seconds,
    required: Required::AtMostMore(2.0),
}];

pub fn starts(bench: &mut Bench) {
    let [activate, stage] = STARTS;
    let mut site = shop::site();
    site.start();
    site.ok(&["init"]);
    site.ok(&["create", "c"]);
    let [imports, activated, staged] = by_turns([
        (&[activate, stage], Box::new(|_| import(&site))),
        (&[activate], Box::new(|_| activate_c(&site))),
        (&[stage], Box::new(|_| stage_d(&site))),
    ]);
    bench.measured(&activate, &activated, &imports);
    bench.measured(&stage, &staged, &imports);
}

pub fn deploy(bench: &mut Bench) {
    let [deploy] = DEPLOY;
    let mut site = shop::site();
    site.start();
    site.ok(&["init"]);
    let [created, deployed] = by_turns([
        (&[deploy], Box::new(|_| create_and_remove(&site))),
        (&[deploy], Box::new(|_| seconds(|| drop(site.ok(&["deploy"]))))),
    ]);
    bench.measured(&deploy, &deployed, &created);
}

fn create_and_remove(site: &Site) -> f64 {
    let name = site.ok(&["find-free"]);
    let took = seconds(|| drop(site.ok(&["create", name.trim()])));
    site.ok(&["rm", name.trim()]);
    took
}

/// In a fresh interpreter of the build, with its environment, as one of its workers does it.
fn import(site: &Site) -> f64 {
    seconds(|| drop(site.ok(&["run", "c", "--", "python", "-c", "import shop.wsgi"])))
}

fn activate_c(site: &Site) -> f64 {
    let took = seconds(|| drop(site.ok(&["activate", "c"])));
    site.ok(&["deactivate", "c"]);
    took
}

/// A build that nobody has started yet.
fn stage_d(site: &Site) -> f64 {
    site.ok(&["create", "d"]);
    let took = seconds(|| drop(site.ok(&["stage", "d"])));
    site.ok(&["stage", "b"]);
    site.ok(&["rm", "d"]);
    took
}
