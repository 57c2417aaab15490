//! `make bench`: what `builds` does beside its rivals, in one run, by turns.

mod commands;
mod copies;
mod creates;
mod machine;
mod original;
mod requests;
mod row;
mod shop;
mod space;
mod starts;
mod tree;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::table;
use row::{HEADER, Outcome, Row};

/// Rows that are measured together, and how. `run` tells the bench of each.
type Group = (&'static [Row], fn(&mut Bench));

/// The most important ones first.
const GROUPS: [Group; 11] = [
    (&creates::WARM, creates::warm),
    (&creates::COLD, creates::cold),
    (&starts::STARTS, starts::starts),
    (&starts::DEPLOY, starts::deploy),
    (&copies::ON_XFS, copies::on_xfs),
    (&space::SPACE, space::space),
    (&requests::REQUESTS, requests::requests),
    (&commands::MANY, commands::many),
    (&commands::BACK, commands::back),
    (&commands::TOOL, commands::tool),
    (&copies::ON_EXT4, copies::on_ext4),
];

/// The table as it grows.
#[derive(Default)]
pub struct Bench {
    known: Vec<(Row, Outcome)>,
}

#[test]
#[ignore = "takes half an hour: make bench"]
fn bench() {
    let mut bench = Bench::default();
    for (rows, run) in GROUPS {
        let wanted: Vec<_> = rows.iter().filter(|row| wanted(row)).collect();
        if wanted.is_empty() {
            continue;
        }
        // What breaks in one group must not hide the others.
        let broken = catch_unwind(AssertUnwindSafe(|| run(&mut bench))).err();
        let why = broken.map_or_else(|| "it was not told".into(), |panic| said(&*panic));
        for row in wanted {
            if !bench.known.iter().any(|(known, _)| (known.what, known.rival) == (row.what, row.rival)) {
                bench.tell(row, Outcome::Failed(why.clone()));
            }
        }
    }
    let machine = machine::describe();
    machine.iter().for_each(|(what, value)| println!("{what}: {}", value.as_str().unwrap_or_default()));
    let header = HEADER.map(str::to_owned).to_vec();
    let rows = bench.known.iter().map(|(row, outcome)| row.cells(outcome));
    table::print(&std::iter::once(header).chain(rows).collect::<Vec<_>>());
    let rows: Vec<_> = bench.known.iter().map(|(row, outcome)| row.json(outcome)).collect();
    let document = json!({"machine": machine, "date": machine::date(), "rounds": rounds(), "rows": rows});
    fs::write(target().join("bench.json"), format!("{document:#}\n")).unwrap();
    let missed = bench.known.iter().filter(|(row, outcome)| row.missed(outcome)).count();
    assert_eq!(missed, 0, "requirements were missed");
}

impl Bench {
    /// Notes what became of a row, and prints it.
    fn tell(&mut self, row: &Row, outcome: Outcome) {
        if wanted(row) {
            eprintln!("  {}", row.cells(&outcome).join(" | "));
            if let Outcome::NotMeasured(why) | Outcome::Failed(why) = &outcome {
                eprintln!("    {why}");
            }
            self.known.push((*row, outcome));
        }
    }

    fn measured(&mut self, row: &Row, ours: &[f64], rivals: &[f64]) {
        self.tell(row, Outcome::Measured { ours: ours.to_vec(), rivals: rivals.to_vec() });
    }

    fn not_measured(&mut self, row: &Row, why: &str) {
        self.tell(row, Outcome::NotMeasured(why.into()));
    }
}

/// What a row is called for `ONLY`.
fn wanted(row: &Row) -> bool {
    super::wanted(&format!("{}, {}", row.what, row.rival))
}

fn rounds() -> usize {
    super::rounds(5)
}

/// One who is measured: the rows that its samples are for, and what makes the sample of a round.
type Contestant<'a> = (&'a [Row], Box<dyn FnMut(usize) -> f64 + 'a>);

/// All samples of each, round by round, each at its turn in every round. Who is in no wanted row has none.
fn by_turns<const N: usize>(mut contestants: [Contestant; N]) -> [Vec<f64>; N] {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..rounds() {
        for ((_, run), samples) in
            contestants.iter_mut().zip(&mut samples).filter(|((rows, _), _)| rows.iter().any(wanted))
        {
            samples.push(run(round));
        }
        let last = samples.each_ref().map(|samples| samples.last().map_or("-".into(), |sample| format!("{sample:.3}")));
        eprintln!("    round {}: {}", round + 1, last.join(" "));
    }
    samples
}

/// The seconds that something takes, after whatever earlier work has left to be written is on the disk.
fn seconds(work: impl FnOnce()) -> f64 {
    nix::unistd::sync();
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// Where Cargo puts what it makes.
fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
