//! `make load`: operations again and again, under users who never pause.

use std::time::{Duration, Instant};

use super::operations::{
    self, canaries, deploys, holds, long_holds, pauses, restarts, rollbacks, swaps, whole_deploys,
};
use super::table::{self, milliseconds, percentile};
use crate::load::{Crowd, KeepAlive, Load, Seen};
use crate::site::Site;

/// A row of the table.
struct Operation {
    name: &'static str,
    count: usize,
    nginx: &'static str,
    keep_alive: KeepAlive,
    run: fn(&Site, usize),
    /// Whether a request that is sent on a connection while nginx closes it may be lost.
    may_race: bool,
    crowds: fn(&Site) -> Vec<Crowd>,
}

const HEADER: [&str; 11] =
    ["operation", "count", "requests", "failed", "raced", "p50 ms", "p99", "max", "without: p50", "p99", "max"];

/// How many requests tell the latency without the operation.
const BASELINE: usize = 3000;

#[test]
#[ignore = "takes minutes: make load"]
fn load() {
    let socket = Operation {
        name: "swap-live",
        count: 200,
        nginx: "",
        keep_alive: KeepAlive::Half,
        run: swaps,
        may_race: false,
        crowds: live,
    };
    let port = "upstream = \"port\"";
    let operations = [
        Operation {
            name: "stage, swap-live, deactivate, archive or rm, create",
            count: 20,
            run: deploys,
            crowds: both,
            ..socket
        },
        Operation {
            name: "deploy, and rollback every other time",
            count: 10,
            run: whole_deploys,
            crowds: both,
            ..socket
        },
        Operation { name: "swap-live, rollback", count: 100, run: rollbacks, crowds: both, ..socket },
        Operation { name: "canary, canary --off", count: 20, run: canaries, ..socket },
        Operation { name: "pause, resume: requests held", count: 20, run: pauses, ..socket },
        Operation { name: "restart live", count: 20, run: restarts, ..socket },
        Operation { name: "deactivate, activate: requests held", count: 20, run: holds, crowds: of_c, ..socket },
        Operation { name: "no workers for 50 s", count: 1, run: long_holds, crowds: of_c, ..socket },
        Operation {
            name: "swap-live, port, connection per request",
            nginx: port,
            keep_alive: KeepAlive::None,
            ..socket
        },
        Operation {
            name: "swap-live, port, keep-alive",
            nginx: port,
            keep_alive: KeepAlive::All,
            may_race: true,
            ..socket
        },
    ];
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    let mut failed = 0;
    for operation in std::iter::once(socket).chain(operations) {
        if super::wanted(operation.name) {
            let count = super::rounds(operation.count);
            eprintln!("{count} × {}", operation.name);
            let (seen, [baseline, with]) = measure(&operation, count);
            failed += lost(&operation, &seen);
            let row = row(&operation, count, &seen, &baseline, &with);
            eprintln!("  {}", row[1..].join(", "));
            rows.push(row);
        }
    }
    table::print(&rows);
    assert_eq!(failed, 0, "requests were lost");
}

fn live(site: &Site) -> Vec<Crowd> {
    vec![Crowd { slow: 2, ..Crowd::at(site.live_port(), 64) }]
}

fn both(site: &Site) -> Vec<Crowd> {
    vec![Crowd { slow: 2, ..Crowd::at(site.live_port(), 48) }, Crowd { slow: 1, ..Crowd::at(site.stage_port(), 16) }]
}

/// Users of a build that has no name, past nginx: fewer than its workers, or there would be no end to what waits for them,
/// and workers that are to stop answer that first.
fn of_c(site: &Site) -> Vec<Crowd> {
    site.ok(&["create", "c"]);
    site.ok(&["activate", "c"]);
    vec![Crowd { files: site.live_port(), ..Crowd::at(site.port("c"), 6) }]
}

/// What users saw, and the sorted waits without and with the operation.
fn measure(operation: &Operation, count: usize) -> (Seen, [Vec<Duration>; 2]) {
    let site = operations::site(operation.nginx);
    let crowds: Vec<_> = (operation.crowds)(&site).into_iter().collect();
    let crowds: Vec<_> = crowds.into_iter().map(|crowd| Crowd { keep_alive: operation.keep_alive, ..crowd }).collect();
    let load = Load::start(&crowds);
    load.await_all();
    let from = Instant::now();
    load.await_answers(BASELINE);
    let middle = Instant::now();
    (operation.run)(&site, count);
    let to = Instant::now();
    load.await_all();
    let seen = load.stop();
    let waits = [(from, middle), (middle, to)].map(|(from, to)| {
        let within = seen.waits.iter().filter(|wait| wait.by_app && (from..to).contains(&wait.begun));
        let mut waits: Vec<_> = within.map(|wait| wait.length).collect();
        waits.sort_unstable();
        waits
    });
    (seen, waits)
}

/// How many requests were lost that must not be.
fn lost(operation: &Operation, seen: &Seen) -> usize {
    seen.failures.iter().chain(&seen.raced).take(5).for_each(|failure| eprintln!("  {failure}"));
    seen.failures.len() + if operation.may_race { 0 } else { seen.raced.len() }
}

fn row(operation: &Operation, count: usize, seen: &Seen, baseline: &[Duration], with: &[Duration]) -> Vec<String> {
    let all = seen.waits.len() + seen.failures.len() + seen.raced.len();
    let counts = [count, all, seen.failures.len(), seen.raced.len()].map(|count| count.to_string());
    let times = [with, baseline].map(|waits| [50, 99, 100].map(|percent| milliseconds(percentile(waits, percent))));
    std::iter::once(operation.name.to_owned()).chain(counts).chain(times.concat()).collect()
}
