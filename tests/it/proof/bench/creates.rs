//! How long a create takes.

use std::fs;

use super::original::{self, place};
use super::row::{Required, Row, Unit};
use super::{Bench, by_turns, rounds, seconds, shop};
use crate::mount::Mounted;
use crate::site::Site;

const ORIGINAL: &str = "the original's way";

const UNCHANGED: Row = Row {
    what: "create, dependencies unchanged",
    rival: ORIGINAL,
    unit: Unit::Seconds,
    required: Required::Faster(6.0),
};

pub const WARM: [Row; 5] = [
    UNCHANGED,
    Row { rival: "its own asset commands alone", required: Required::AtMostTimes(1.25), ..UNCHANGED },
    Row { what: "create, one requirement changed", required: Required::Faster(5.0), ..UNCHANGED },
    Row { what: "create, assets reused, nothing changed", required: Required::Faster(30.0), ..UNCHANGED },
    Row { what: "create, assets reused, after another such", required: Required::Faster(6.0), ..UNCHANGED },
];

const FIRST: Row = Row {
    what: "first create, after builds wheels",
    rival: "the original's way, pip without a cache",
    required: Required::Faster(3.0),
    ..UNCHANGED
};

pub const COLD: [Row; 2] = [
    FIRST,
    Row {
        what: "the same without what builds wheels installs: deps/store empty",
        required: Required::Faster(1.0),
        ..FIRST
    },
];

/// Live and stage are there, and so is all that earlier creates have left to be used again.
pub fn warm(bench: &mut Bench) {
    assert!(rounds() <= shop::SETS, "each round needs a set of requirements of its own: ROUNDS={} at most", shop::SETS);
    let Some(mut site) = alone() else {
        return WARM.iter().for_each(|row| bench.not_measured(row, "this user may not mount"));
    };
    site.start();
    site.ok(&["init"]);
    assert_eq!(site.live("/").0, 200, "the site serves");
    let [unchanged, alone, one, reused, in_a_row] = WARM;
    // The last one runs its commands and leaves spares, as the create did that comes before most others.
    let [originals, commands, same, once, again, changed] = by_turns([
        (&[unchanged, one, reused, in_a_row], Box::new(|_| original::create(&site, &[]))),
        (&[alone], Box::new(|_| assets_alone(&site))),
        (&[unchanged, alone], Box::new(|_| create(&site))),
        (&[reused], Box::new(|_| reused_create(&site, 1))),
        (&[in_a_row], Box::new(|_| reused_create(&site, 2))),
        (&[unchanged, alone, one], Box::new(|round| changed_create(&site, round))),
    ]);
    bench.measured(&unchanged, &same, &originals);
    bench.measured(&alone, &same, &commands);
    bench.measured(&one, &changed, &originals);
    bench.measured(&reused, &once, &originals);
    bench.measured(&in_a_row, &again, &originals);
}

/// No build has had these packages.
pub fn cold(bench: &mut Bench) {
    let Some(mut site) = alone() else {
        return COLD.iter().for_each(|row| bench.not_measured(row, "this user may not mount"));
    };
    site.start();
    let [first, without] = COLD;
    let [originals, firsts, withouts] = by_turns([
        (&COLD, Box::new(|_| original::create(&site, &["--no-cache-dir"]))),
        (&[first], Box::new(|_| first_create(&site))),
        (&[without], Box::new(|_| cold_create(&site))),
    ]);
    bench.measured(&first, &firsts, &originals);
    bench.measured(&without, &withouts, &originals);
}

/// The site on a file system of its own: within a minute of a deletion, be it of npm's temporary files, ext4 takes several
/// times as long to make a directory, for whoever comes next. No contestant deletes there what it made.
fn alone() -> Option<Mounted> {
    Mounted::whole(shop::site(), "ext4", 16 << 10)
}

/// The seconds of one more create.
fn create(site: &Site) -> f64 {
    let name = site.ok(&["find-free"]);
    let name = name.trim();
    let took = seconds(|| drop(site.ok(&["create", name])));
    let statics = site.root().join("assets/static").join(name);
    assert!(statics.join("wagtailadmin").is_dir() && site.build(name).join("node_modules/webpack").is_dir());
    took
}

/// A create with a set of requirements that there never was. All that comes until the next round has the same.
fn changed_create(site: &Site, round: usize) -> f64 {
    shop::change(site, round);
    create(site)
}

/// A create after so many of the same static files. Where none of them ran the commands, none has left a spare.
fn reused_create(site: &Site, before: usize) -> f64 {
    shop::configure(site, "reuse = true");
    for _ in 0..before {
        create(site);
    }
    let took = create(site);
    shop::configure(site, "");
    took
}

/// What the commands of `[assets]` take by themselves, in the environment of a build.
fn assets_alone(site: &Site) -> f64 {
    let root = format!("STATIC_ROOT={}", place(site, &format!("static-{}", site.ok(&["find-free"]).trim())).display());
    let command = ["run", "a", "--", "env", &root, "python", "manage.py", "collectstatic", "--noinput"];
    seconds(|| drop(site.ok(&command)))
}

/// A create that finds what `builds wheels` leaves.
fn first_create(site: &Site) -> f64 {
    empty_store(site);
    site.ok(&["wheels"]);
    create(site)
}

/// A create that finds nothing but wheels and npm's store.
fn cold_create(site: &Site) -> f64 {
    empty_store(site);
    create(site)
}

fn empty_store(site: &Site) {
    let store = site.root().join("deps/store");
    if store.exists() {
        fs::rename(store, place(site, &format!("store-{}", site.ok(&["find-free"]).trim()))).unwrap();
    }
}
