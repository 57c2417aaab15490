//! `make faults`: any process may die, again and again, under users who never pause.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{Part, Parts, difference, parts, watch};
use super::verdict::{HEADER, Limits, Round, judge};
use super::{killed, operations, table};
use crate::load::{Crowd, Load};
use crate::site::{Site, wait_for};

/// How long after a kill a site that is not as it was will never be so.
const PATIENCE: Duration = Duration::from_secs(30);

/// A row of the table.
struct Fault {
    name: &'static str,
    nginx: &'static str,
    /// Who of the parts of live, in the order of their ids, is killed.
    part: Part,
    all: bool,
    /// Whether the longest wait has a ceiling: 3 s, and the time that the application takes to load.
    quick: bool,
    /// Whether nothing listens for a while, so that users are refused.
    down: bool,
    /// What the operator does then.
    then: fn(&mut Site),
}

const WORKER: Fault =
    Fault { name: "a worker", nginx: "", part: Part::Worker, all: false, quick: false, down: false, then: |_| () };
const PORT: &str = "upstream = \"port\"";

const FAULTS: [Fault; 11] = [
    WORKER,
    Fault { name: "all workers of live", all: true, ..WORKER },
    Fault { name: "live's zerg master", part: Part::Zerg, ..WORKER },
    Fault { name: "live's vassal master", part: Part::Vassal, quick: true, ..WORKER },
    Fault { name: "live's http router, port mode", part: Part::Router, nginx: PORT, ..WORKER },
    Fault { name: "the zergs' emperor", part: Part::ZergsEmperor, quick: true, ..WORKER },
    Fault { name: "the zergs' emperor's master", part: Part::ZergsMaster, quick: true, ..WORKER },
    Fault { name: "the vassals' emperor", part: Part::VassalsEmperor, quick: true, ..WORKER },
    Fault { name: "builds up, then started again", part: Part::VassalsMaster, down: true, then: start_again, ..WORKER },
    Fault { name: "an nginx worker", part: Part::NginxWorker, ..WORKER },
    Fault { name: "the nginx master", part: Part::NginxMaster, down: true, ..WORKER },
];

/// Kills so often, under a load.
type Kill = fn(&Site, &Load, usize) -> Vec<Round>;

/// What is killed besides the parts of a site, and how.
const COMMANDS: [(&str, Kill); 2] =
    [("a command of builds, then run again", killed::rounds), ("a deploy, then --resume or --abort", killed::deploys)];

fn start_again(site: &mut Site) {
    site.wait();
    site.launch();
}

#[test]
#[ignore = "takes half an hour: make faults"]
fn faults() {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    let mut exceeded = 0;
    let mut tell = |(row, complaints): (Vec<String>, Vec<String>)| {
        eprintln!("  {}", row[1..].join(", "));
        complaints.iter().for_each(|complaint| eprintln!("  {complaint}"));
        exceeded += complaints.len();
        rows.push(row);
    };
    let count = super::rounds(20);
    for fault in FAULTS.iter().filter(|fault| super::wanted(fault.name)) {
        let mut site = operations::site(fault.nginx);
        eprintln!("{count} × {}", fault.name);
        let load = Load::start(&[Crowd { slow: 2, ..Crowd::at(site.live_port(), 64) }]);
        let wait = fault.quick.then(|| Duration::from_secs(3) + load_time(&site));
        let rounds: Vec<_> = (0..count).map(|_| round(&mut site, fault, &load)).collect();
        tell(judge(fault.name, &rounds, &load.stop(), &Limits { wait, down: fault.down }));
    }
    for (name, rounds) in COMMANDS.into_iter().filter(|(name, _)| super::wanted(name)) {
        let site = operations::site("");
        eprintln!("{count} × {name}");
        let load = Load::start(&[Crowd { slow: 2, ..Crowd::at(site.live_port(), 64) }]);
        let rounds = rounds(&site, &load, count);
        tell(judge(name, &rounds, &load.stop(), &Limits::default()));
    }
    table::print(&rows);
    assert_eq!(exceeded, 0, "ceilings were exceeded");
}

/// How long the interpreter takes to start and load the application, at this load.
fn load_time(site: &Site) -> Duration {
    let begun = Instant::now();
    site.ok(&["run", "a", "--", "python3", "-c", "import wsgi"]);
    begun.elapsed()
}

/// One kill, and the way back.
fn round(site: &mut Site, fault: &Fault, load: &Load) -> Round {
    load.await_answers(100);
    let before = parts(site);
    let killed = victims(&before, fault);
    assert!(!killed.is_empty(), "nobody to kill: {before:#?}");
    let begun = Instant::now();
    killed.iter().for_each(|&pid| kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap());
    (fault.then)(site);
    let (recovered, deaths) = watch(site, &before, &killed, begun, PATIENCE);
    if recovered.is_none() {
        eprintln!("  not as before within {} s: {}", PATIENCE.as_secs(), difference(&before, &parts(site)));
        site.kill();
        site.start();
        wait_for("a site that serves after a start", || {
            watch(site, &before, &killed, Instant::now(), Duration::from_millis(100)).0.is_some()
        });
    }
    // Whoever waited in this round is answered before the next.
    load.await_all();
    Round { begun, recovered, deaths }
}

fn victims(parts: &Parts, fault: &Fault) -> Vec<i32> {
    let of_live = |title: &str| !title.starts_with("it-b-");
    let all = parts.iter().filter(|(_, (part, title))| *part == fault.part && of_live(title)).map(|(pid, _)| *pid);
    all.take(if fault.all { usize::MAX } else { 1 }).collect()
}
