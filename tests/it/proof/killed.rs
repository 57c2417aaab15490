//! Commands that are killed in the midst of their work, under users who notice nothing, and that are run again then.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::verdict::Round;
use crate::load::Load;
use crate::site::{Site, wait_for};

/// What a deploy does one by one, of `next` in the place of `old`.
const STEPS: [&str; 9] = [
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
    let mut took = [Duration::ZERO; STEPS.len()];
    let mut rounds = Vec::new();
    // The first deploy is not disturbed: it tells how long each command takes.
    for number in 0..count + STEPS.len() {
        let step = number % STEPS.len();
        let command = STEPS[step].replace("next", &next).replace("old", &old);
        let args: Vec<_> = command.split(' ').collect();
        let begun = Instant::now();
        if number < STEPS.len() {
            site.ok(&args);
            took[step] = begun.elapsed();
        } else {
            let after = took[step] * MOMENTS[number % MOMENTS.len()] / 100;
            rounds.push(round(site, load, (&args, &args), after));
        }
        if step + 1 == STEPS.len() {
            next = site.ok(&["find-free"]).trim().to_owned();
            (_, old) = site.names();
        }
    }
    rounds
}

/// A `deploy` after the other, each of which is killed, and gone on with or taken back.
pub fn deploys(site: &Site, load: &Load, count: usize) -> Vec<Round> {
    // The first is not disturbed: it tells how long one takes.
    let begun = Instant::now();
    site.ok(&["deploy"]);
    let took = begun.elapsed();
    let end = |number: usize| {
        let ways = ["--resume", "--abort"];
        let after = took * MOMENTS[number % MOMENTS.len()] / 100;
        round(site, load, (&["deploy"], &["deploy", ways[number % ways.len()]]), after)
    };
    (0..count).map(end).collect()
}

/// One command that is killed so long after its start, and what is run then, which is its recovery.
fn round(site: &Site, load: &Load, (args, then): (&[&str], &[&str]), after: Duration) -> Round {
    let begun = Instant::now();
    let mut command = site.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the moment to kill", || begun.elapsed() >= after);
    command.kill().unwrap();
    command.wait().unwrap();
    let killed = Instant::now();
    let again = site.run(then);
    // It may have come to its end before it was killed, or not have begun.
    let over = matches!((args[0], again.code), ("rm", 2) | ("create", 3) | ("deploy", 3))
        && !site.root().join("deploy.json").exists();
    let done = again.code == 0 || over;
    if !done {
        eprintln!("  {}, killed after {} ms, then {}: {again:?}", args.join(" "), after.as_millis(), then.join(" "));
    }
    let recovered = Some(killed.elapsed()).filter(|_| done);
    load.await_all();
    Round { begun, recovered, deaths: Vec::new() }
}
