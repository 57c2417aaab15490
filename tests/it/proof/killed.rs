//! Commands that are killed in the midst of their work, under users who notice nothing, and that are run again then.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::verdict::Round;
use crate::load::Load;
use crate::site::{Site, wait_for};

/// A deploy, of `next` in the place of `old`.
const DEPLOY: [&str; 9] = [
    "create next",
    "activate next",
    "stage next",
    "swap-live next",
    "restart live",
    "deactivate old",
    "stop old",
    "archive old",
    "rm old",
];

/// How much of the time that it takes has passed when a command is killed, in hundredths.
const MOMENTS: [u32; 5] = [20, 80, 40, 5, 60];

/// A deploy after the other, each command of which is killed and run again.
pub fn rounds(site: &Site, load: &Load, count: usize) -> Vec<Round> {
    let (_, mut old) = site.names();
    let mut next = "c".to_owned();
    let mut took = [Duration::ZERO; DEPLOY.len()];
    let mut rounds = Vec::new();
    // The first deploy is not disturbed: it tells how long each command takes.
    for number in 0..count + DEPLOY.len() {
        let step = number % DEPLOY.len();
        let command = DEPLOY[step].replace("next", &next).replace("old", &old);
        let args: Vec<_> = command.split(' ').collect();
        let begun = Instant::now();
        if number < DEPLOY.len() {
            site.ok(&args);
            took[step] = begun.elapsed();
        } else {
            let after = took[step] * MOMENTS[number % MOMENTS.len()] / 100;
            rounds.push(round(site, load, &args, after));
        }
        if step + 1 == DEPLOY.len() {
            next = site.ok(&["find-free"]).trim().to_owned();
            (_, old) = site.names();
        }
    }
    rounds
}

/// One command that is killed so long after its start, and run again: that is its recovery.
fn round(site: &Site, load: &Load, args: &[&str], after: Duration) -> Round {
    let begun = Instant::now();
    let mut command = site.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the moment to kill", || begun.elapsed() >= after);
    command.kill().unwrap();
    command.wait().unwrap();
    let killed = Instant::now();
    let again = site.run(args);
    // It may have come to its end before it was killed.
    let done = again.code == 0 || matches!((args[0], again.code), ("rm", 2) | ("create", 3));
    if !done {
        eprintln!("  {}, killed after {} ms, and again: {again:?}", args.join(" "), after.as_millis());
    }
    let recovered = Some(killed.elapsed()).filter(|_| done);
    load.await_all();
    Round { begun, recovered, deaths: Vec::new() }
}
