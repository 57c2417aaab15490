//! What looking costs: with many builds, and at all.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use super::row::{Required, Row, Unit, median};
use super::{Bench, by_turns};
use crate::site::{Site, binary};

const FIND_FREE: Row = Row {
    what: "find-free, 18,277 of the names a to zzz taken",
    rival: "10 names taken",
    unit: Unit::Milliseconds,
    required: Required::AtMostMore(20.0),
};

pub const MANY: [Row; 2] = [
    FIND_FREE,
    Row { what: "status of 700 builds", rival: "of 10 builds", required: Required::AtMostMore(60.0), ..FIND_FREE },
];

pub const BACK: [Row; 1] =
    [Row { what: "rollback to a build that is warm", rival: "", required: Required::AtMost(50.0), ..FIND_FREE }];

pub const TOOL: [Row; 2] = [
    Row { what: "start-up: builds port a", rival: "", required: Required::AtMost(5.0), ..FIND_FREE },
    Row { what: "size of the binary", rival: "", unit: Unit::Megabytes, required: Required::AtMost(12.0) },
];

/// How many calls make a sample, which is their median.
const CALLS: usize = 20;

/// The number of the free name among those that are taken: one that still has a port.
const FREE: usize = 4000;

pub fn many(bench: &mut Bench) {
    let [find_free, status] = MANY;
    let (few, taken, some, seven_hundred) = (reserved(10), reserved(18_278), stopped(10), stopped(700));
    assert_eq!(taken.ok(&["find-free"]).trim(), name(FREE));
    assert_eq!(seven_hundred.json(&["status"])["builds"].as_array().unwrap().len(), 700);
    let [ten, all, ten_rows, all_rows] = by_turns([
        (&[find_free], Box::new(|_| milliseconds(&few, &["find-free"]))),
        (&[find_free], Box::new(|_| milliseconds(&taken, &["find-free"]))),
        (&[status], Box::new(|_| milliseconds(&some, &["status"]))),
        (&[status], Box::new(|_| milliseconds(&seven_hundred, &["status"]))),
    ]);
    bench.measured(&find_free, &all, &ten);
    bench.measured(&status, &all_rows, &ten_rows);
}

pub fn back(bench: &mut Bench) {
    let [back] = BACK;
    let site = Site::ready("plain", "");
    let there_and_back = |_| {
        site.ok(&["swap-live"]);
        let began = Instant::now();
        site.ok(&["rollback"]);
        began.elapsed().as_secs_f64() * 1000.0
    };
    let [took] = by_turns([(&[back], Box::new(|_| median(&(0..CALLS).map(there_and_back).collect::<Vec<_>>())))]);
    bench.measured(&back, &took, &[]);
}

pub fn tool(bench: &mut Bench) {
    let [start_up, size] = TOOL;
    let site = Site::new("plain", "");
    let [took] = by_turns([(&[start_up], Box::new(|_| milliseconds(&site, &["port", "a"])))]);
    bench.measured(&start_up, &took, &[]);
    let bytes = fs::metadata(binary()).unwrap().len();
    bench.measured(&size, &[bytes as f64 / 1e6], &[]);
}

/// A site with this many names reserved, as `find-free --reserve` does it.
fn reserved(count: usize) -> Site {
    let site = Site::new("plain", "");
    for number in (0..count).filter(|&number| number != FREE) {
        fs::create_dir_all(site.build(&name(number))).unwrap();
    }
    site
}

/// A site with this many builds, of which all but live and stage are stopped, as far as anybody who looks can tell.
fn stopped(count: usize) -> Site {
    let site = Site::ready("plain", "");
    let manifest = site.read("deploy/builds/a/build.json");
    for number in 2..count {
        let of_this = manifest.replace("\"name\": \"a\"", &format!("\"name\": \"{}\"", name(number)));
        site.write(&format!("deploy/builds/{}/build.json", name(number)), &of_this);
    }
    site
}

/// The milliseconds of one call of the tool, from its start to its end.
fn milliseconds(site: &Site, args: &[&str]) -> f64 {
    let call = || {
        let mut command = site.command(args);
        command.stdout(Stdio::null());
        let begun = Instant::now();
        let status = command.status().unwrap();
        let took = begun.elapsed();
        assert!(status.success(), "{args:?}");
        took.as_secs_f64() * 1000.0
    };
    median(&(0..CALLS).map(|_| call()).collect::<Vec<_>>())
}

/// The name of a number, counted from 0: a, b, … z, aa, ab, …
fn name(number: usize) -> String {
    let mut name = Vec::new();
    let mut rest = number + 1;
    while rest > 0 {
        rest -= 1;
        name.insert(0, b'a' + (rest % 26) as u8);
        rest /= 26;
    }
    String::from_utf8(name).unwrap()
}
