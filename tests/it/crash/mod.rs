//! Every changing command, killed at every system call that changes a file, and with each of them failing.
//!
//! `make crash` tries them all, or `ROUNDS` of each, and prints a table; a plain run tries a fixed share.

mod cases;
mod deploys;
mod durable;
mod judge;
mod trace;

use std::fmt;
use std::time::Instant;

use crate::site::Site;
use cases::{Case, INIT, NONE, THREE};
use deploys::DEPLOYS;
use judge::{State, after_failure, after_kill};
use trace::{Blow, Call};

/// How many tries of each command a plain run makes.
const SHARE: usize = 4;

/// A command with more calls than this gets one error at each, by turns.
const MANY: usize = 250;

const ERRORS: [Blow; 3] = [Blow::Fail("ENOSPC"), Blow::Fail("EIO"), Blow::Fail("EACCES")];

/// How many sites share the tries of a command where all are made.
const LANES: usize = 2;

/// So many failures of one command tell enough.
const ENOUGH: usize = 20;

/// Commands, and the site on which they are tried.
type List = (&'static [Case], fn() -> Site);

/// What came of one command.
struct Row {
    command: String,
    calls: usize,
    kills: usize,
    faults: usize,
    failures: Vec<String>,
    seconds: f32,
}

#[test]
fn every_changing_command_may_die_or_fail_at_every_call() {
    let wanted = &std::env::var("CRASH").unwrap_or_default();
    let rounds = std::env::var("ROUNDS").map(|rounds| rounds.parse().unwrap()).ok();
    let share = rounds.or(wanted.is_empty().then_some(SHARE));
    let chosen = move |case: &&Case| ["", "all"].contains(&wanted.as_str()) || case.title().starts_with(wanted);
    let lanes = if share.is_some() { 1 } else { LANES };
    let rows = std::thread::scope(|scope| {
        let spawn = |((cases, site), lane): (List, usize)| {
            let cases: Vec<&Case> = cases.iter().filter(chosen).collect();
            scope.spawn(
                move || if cases.is_empty() { Vec::new() } else { try_lane(&site(), &cases, (lane, lanes), share) },
            )
        };
        let lists: [List; 4] = [(THREE, three), (&NONE, two), (&INIT, two), (&DEPLOYS, deploys::with_database)];
        let all = lists.into_iter().flat_map(|list| (0..lanes).map(move |lane| (list, lane)));
        let running: Vec<_> = all.map(spawn).collect();
        running.into_iter().flat_map(|lane| lane.join().unwrap()).fold(Vec::new(), Row::add)
    });
    println!("{:<26} {:>6} {:>6} {:>6} {:>9} {:>8}", "command", "calls", "kills", "faults", "failures", "seconds");
    rows.iter().for_each(|row| println!("{row}"));
    let failures: Vec<&String> = rows.iter().flat_map(|row| &row.failures).collect();
    for failure in &failures {
        println!("\n{failure}");
    }
    assert!(failures.is_empty(), "{} failures", failures.len());
}

fn two() -> Site {
    Site::ready("plain", "\n[uwsgi]\nworkers = 1\n")
}

fn three() -> Site {
    let site = two();
    cases::keep(&site);
    site
}

/// Commands on one site, one after the other; a lane's part of their tries, or a share of them.
fn try_lane(site: &Site, cases: &[&Case], lane: (usize, usize), share: Option<usize>) -> Vec<Row> {
    cases.iter().map(|case| try_case(site, case, lane, share)).collect()
}

fn try_case(site: &Site, case: &Case, (lane, lanes): (usize, usize), share: Option<usize>) -> Row {
    let began = Instant::now();
    (case.prepare)(site);
    let start = State::of(site);
    let (said, calls) = trace::calls(site, case);
    assert_eq!(said.code, 0, "{} {said:?}", case.title());
    let end = State::of(site);

    let tries = tries(&calls);
    // Odd, so that it meets a kill and each error by turns.
    let step = share.map_or(lanes, |share| tries.len().div_ceil(share) | 1);
    let mut row =
        Row { command: case.title(), calls: calls.len(), kills: 0, faults: 0, failures: vec![], seconds: 0.0 };
    for (call, blow) in tries.into_iter().skip(lane).step_by(step) {
        let judgement = match blow {
            Blow::Kill => {
                row.kills += 1;
                after_kill(site, case, &end, call)
            }
            Blow::Fail(errno) => {
                row.faults += 1;
                after_failure(site, case, (&start, &end), call, errno)
            }
        };
        if let Err(why) = judgement {
            eprintln!("{} {blow} at {call}", row.command);
            judge::clean(site);
            row.failures.push(format!("{} {blow} at {call}\n    {}", row.command, why.replace('\n', "\n    ")));
        }
        if row.failures.len() >= ENOUGH {
            break;
        }
    }
    row.seconds = began.elapsed().as_secs_f32();
    // For whoever waits for all of it.
    eprintln!("{row}");
    row
}

impl Row {
    /// Adds a row to a table, to that of the same command where there is one.
    fn add(mut table: Vec<Self>, row: Self) -> Vec<Self> {
        match table.iter_mut().find(|other| other.command == row.command) {
            Some(own) => {
                own.kills += row.kills;
                own.faults += row.faults;
                own.failures.extend(row.failures);
                own.seconds = own.seconds.max(row.seconds);
            }
            None => table.push(row),
        }
        table
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, calls, kills, faults, failures, seconds } = self;
        write!(f, "{command:<26} {calls:>6} {kills:>6} {faults:>6} {:>9} {seconds:>8.1}", failures.len())
    }
}

/// Each call with all that can happen to it: a kill where it changes something, and every error, or one of them by turns
/// where there are many calls.
fn tries(calls: &[Call]) -> Vec<(&Call, Blow)> {
    let kills = |call: &Call| call.changes().then_some(Blow::Kill);
    let errors = |number: usize| match calls.len() > MANY {
        true => ERRORS[number % ERRORS.len()..][..1].iter(),
        false => ERRORS.iter(),
    };
    let of = |(number, call)| kills(call).into_iter().chain(errors(number).copied()).map(move |blow| (call, blow));
    calls.iter().enumerate().flat_map(of).collect()
}
