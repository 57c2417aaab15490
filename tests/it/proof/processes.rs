//! The processes of a site that serves: who is there, who died when, and whether all is well again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::load;
use crate::look::{Process, processes_of, workers};
use crate::site::Site;

/// What a process is for. A master is known by whom it belongs to, as all have the same title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    VassalsEmperor,
    VassalsMaster,
    ZergsEmperor,
    ZergsMaster,
    Vassal,
    Router,
    Zerg,
    /// A master whose emperor is gone.
    Stray,
    Worker,
    NginxMaster,
    NginxWorker,
    /// An nginx worker that ends with its last request.
    NginxLeaver,
}

/// The processes of each part by their ids, with the title of each.
pub type Parts = BTreeMap<i32, (Part, String)>;

/// A process that was there at one look and not at the next.
#[derive(Debug)]
pub struct Death {
    pub part: Part,
    /// Between when and when it died.
    pub from: Instant,
    pub to: Instant,
}

/// Everybody who serves at this moment.
pub fn parts(site: &Site) -> Parts {
    let all: BTreeMap<i32, Process> = processes_of(site).into_iter().map(|process| (process.pid, process)).collect();
    let of = |process: &Process| Some((process.pid, (part(process, all.get(&process.parent))?, process.title.clone())));
    all.values().filter_map(of).collect()
}

fn part(process: &Process, parent: Option<&Process>) -> Option<Part> {
    let parent = parent.map_or("", |parent| parent.title.as_str());
    Some(match process.title.as_str() {
        "it-vassals uWSGI Emperor" => Part::VassalsEmperor,
        "it-vassals uWSGI master" => Part::VassalsMaster,
        "it-zergs uWSGI Emperor" => Part::ZergsEmperor,
        "it-zergs uWSGI master" => Part::ZergsMaster,
        title if title.starts_with("nginx: master") => Part::NginxMaster,
        title if title.contains("is shutting down") => Part::NginxLeaver,
        title if title.starts_with("nginx: worker") => Part::NginxWorker,
        title if title.contains(" uWSGI http ") => Part::Router,
        title if title.contains(" uWSGI worker ") => Part::Worker,
        title if title.ends_with(" uWSGI master") => match parent {
            "it-vassals uWSGI Emperor" => Part::Vassal,
            "it-zergs uWSGI Emperor" => Part::Zerg,
            _ => Part::Stray,
        },
        _ => return None,
    })
}

/// How many there are of each, whatever their ids are.
fn census(parts: &Parts) -> BTreeMap<(Part, &str), usize> {
    let mut census = BTreeMap::new();
    for (part, title) in parts.values() {
        *census.entry((*part, title.as_str())).or_default() += 1;
    }
    census
}

/// What is missing and what is there besides, for people.
pub fn difference(before: &Parts, now: &Parts) -> String {
    let (before, now) = (census(before), census(now));
    let all = before.keys().chain(now.keys()).collect::<BTreeSet<_>>();
    let count = |census: &BTreeMap<_, _>, key| census.get(key).copied().unwrap_or(0);
    let told = all
        .into_iter()
        .filter(|key| count(&before, key) != count(&now, key))
        .map(|key| format!("{:?} ({}): {} of {}", key.0, key.1, count(&now, key), count(&before, key)));
    let told: Vec<_> = told.collect();
    if told.is_empty() { "all are there, and do not answer".into() } else { told.join(", ") }
}

/// Looks until all is as it was before a kill, for as long as `patience`: how long that took, and who died meanwhile.
pub fn watch(
    site: &Site,
    before: &Parts,
    killed: &[i32],
    begun: Instant,
    patience: Duration,
) -> (Option<Duration>, Vec<Death>) {
    let (mut last, mut last_look, mut deaths) = (before.clone(), begun, Vec::new());
    while begun.elapsed() < patience {
        let now = parts(site);
        let look = Instant::now();
        let dead = last.iter().filter(|(pid, _)| !now.contains_key(pid));
        deaths.extend(dead.map(|(_, (part, _))| Death { part: *part, from: last_look, to: look }));
        let back = killed.iter().all(|pid| !now.contains_key(pid)) && census(&now) == census(before);
        if back && serves(site, before) {
            return (Some(begun.elapsed()), deaths);
        }
        (last, last_look) = (now, look);
        std::thread::park_timeout(Duration::from_millis(20));
    }
    (None, deaths)
}

/// Whether all workers have loaded, and both builds answer, through nginx and by themselves.
fn serves(site: &Site, before: &Parts) -> bool {
    let expected = before.values().filter(|(part, _)| *part == Part::Worker).count();
    let loaded = |build| {
        let is_ready = |worker: &serde_json::Value| {
            worker["accepting"] == 1 && worker["apps"].as_array().is_some_and(|apps| !apps.is_empty())
        };
        workers(site, build).iter().filter(|worker| is_ready(worker)).count()
    };
    ["a", "b"].map(loaded).iter().sum::<usize>() == expected
        && [site.live_port(), site.stage_port(), site.port("a"), site.port("b")].into_iter().all(load::answers)
}
