//! How long workers take to be there.

use super::row::{Required, Row, Unit};
use super::{Bench, by_turns, seconds, shop, wanted};
use crate::site::Site;

const ACTIVATE: Row = Row {
    what: "activate, until ready",
    rival: "importing the application once",
    unit: Unit::Seconds,
    required: Required::AtMostMore(0.5),
};

pub const STARTS: [Row; 2] =
    [ACTIVATE, Row { what: "stage of a new build, until done", required: Required::AtMostMore(1.0), ..ACTIVATE }];

const UNCHANGED: Row = Row {
    what: "deploy of an unchanged site",
    rival: "create of the same",
    unit: Unit::Seconds,
    required: Required::AtMostMore(2.0),
};

pub const DEPLOY: [Row; 2] = [UNCHANGED, Row { what: "deploy of an unchanged site of Django alone", ..UNCHANGED }];

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
    let [wagtail, django] = DEPLOY;
    if wanted(&wagtail) {
        let mut site = shop::site();
        site.start();
        site.ok(&["init"]);
        time_deploys(bench, &site, &wagtail);
    }
    if wanted(&django) {
        let migrate = "commands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]";
        time_deploys(bench, &Site::ready("demo", &format!("\n[init]\n{migrate}\n")), &django);
    }
}

fn time_deploys(bench: &mut Bench, site: &Site, row: &Row) {
    let rows = [*row];
    let [created, deployed] = by_turns([
        (&rows, Box::new(|_| create_and_remove(site))),
        (&rows, Box::new(|_| seconds(|| drop(site.ok(&["deploy"]))))),
    ]);
    bench.measured(row, &deployed, &created);
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
