use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::{Cli, watch};
use crate::error::Result;
use crate::model::canary::{Canary, share};
use crate::model::layout::Role;
use crate::model::manifest::{Bad, Manifest};
use crate::model::name::BuildName;
use crate::model::observed::{Build, Names, State, Worker};
use crate::model::requests::{Sum, Tally};
use crate::model::words::count;
use crate::report::Done;
use crate::serve::pause::{self, Pause};
use crate::serve::{canary, maintenance, traffic, zerg};
use crate::site::Site;
use crate::system::{files, procfs};

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds status --json")]
pub struct Arguments {}

/// One build, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Row {
    build: BuildName,
    state: State,
    role: Option<&'static str>,
    tag: Option<String>,
    port: Option<u16>,
    /// Started workers.
    workers: usize,
    requests: u64,
    /// Resident memory of the workers in bytes.
    memory: u64,
    /// Seconds since 1970.
    created: Option<u64>,
    /// Bytes on the disk, static files included, when the create ended.
    size: Option<u64>,
    /// Why it must not get a name.
    bad: Option<Bad>,
}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let names = site.names_or_warning();
    let canary = site.canary().unwrap_or_else(|error| {
        tracing::warn!("{}: {}; {}", error.what(), error.cause(), error.next());
        None
    });
    let mut rows: Vec<Row> = site.observe_all()?.iter().map(|build| row(&site, &names, build)).collect();
    for row in rows.iter_mut().filter(|row| canary.is_some_and(|canary| canary.name == row.build)) {
        row.role = row.role.or(Some("canary"));
    }
    let (now, maintenance) = (files::now(), maintenance::since(&site));
    let paused = pause::all(&site)?.into_iter().find_map(|name| pause::of(&site, name));
    let text = maintenance.map(|since| in_maintenance(now, since)).unwrap_or_default()
        + &paused.map(|pause| is_paused(now, &pause)).unwrap_or_default()
        + &table(&rows, now);
    let frozen = site.frozen()?;
    let text = text + &frozen.as_ref().map(|freeze| format!("frozen {}\n", freeze.told())).unwrap_or_default();
    let canary = canary.map(|canary| beside(&site, canary, &rows));
    let serving = names.live.into_iter().chain(canary.as_ref().map(|canary| canary.build));
    let recent = traffic::recent(&site).unwrap_or_else(|error| {
        tracing::warn!("{}: {}; {}", error.what(), error.cause(), error.next());
        Tally::default()
    });
    let recent: Vec<Recent> = serving.map(|build| Recent { build, requests: recent.sum(Some(build)) }).collect();
    let text = text + &canary.as_ref().map(Beside::told).unwrap_or_default() + &told(&recent);
    Ok(Done::looked(text)
        .with("canary", canary)
        .with("recent", recent)
        .with("frozen", frozen)
        .with("live", names.live)
        .with("stage", names.stage)
        .with("maintenance", maintenance)
        .with("paused", paused)
        .with("builds", rows))
}

fn row(site: &Site, names: &Names, build: &Build) -> Row {
    let manifest = build.manifest.as_ref();
    let started = || build.workers.iter().flatten().filter(|worker: &&Worker| worker.started());
    Row {
        build: build.name,
        state: build.state(),
        role: names.role(build.name).map(role),
        tag: manifest.map(|manifest| manifest.tag.to_string()),
        port: site.port(build.name).ok().map(|port| port.number()),
        workers: started().count(),
        requests: started().fold(0, |sum, worker| sum.saturating_add(worker.requests)),
        memory: started().fold(0, |sum, worker| sum.saturating_add(procfs::memory(worker.pid))),
        created: manifest.map(|manifest| manifest.created),
        size: manifest.and_then(Manifest::size),
        bad: build.bad().cloned(),
    }
}

/// The canary, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Beside {
    build: BuildName,
    of: BuildName,
    workers: usize,
    /// The part of the requests that it gets, from 0 to 1.
    share: f64,
}

fn beside(site: &Site, canary: Canary, rows: &[Row]) -> Beside {
    let others = rows.iter().find(|row| row.build == canary.of).map_or(0, |row| row.workers);
    let workers = canary::workers(site, &canary).map_or(0, |workers| zerg::started(&workers));
    Beside { build: canary.name, of: canary.of, workers, share: share(workers, others) }
}

impl Beside {
    fn told(&self) -> String {
        let Self { build, of, workers, share } = self;
        let workers = count(*workers, "worker");
        format!("{build} is the canary beside {of}: {workers}, about {:.0} % of the requests\n", share * 100.0)
    }
}

/// The requests of the last minutes that a build answered, as `--json` shows them.
#[derive(Debug, Serialize)]
struct Recent {
    build: BuildName,
    #[serde(flatten)]
    requests: Sum,
}

/// The builds that have had any, a line each.
fn told(recent: &[Recent]) -> String {
    let any = recent.iter().filter(|recent| recent.requests.requests > 0);
    let minutes = traffic::RECENT / 60;
    any.map(|recent| format!("{} in the last {minutes} minutes: {}\n", recent.build, watch::told(recent.requests)))
        .collect()
}

fn in_maintenance(now: u64, since: u64) -> String {
    format!("in maintenance for {}: visitors of live get 503; builds maintenance off ends it\n", age(now, since))
}

fn is_paused(now: u64, pause: &Pause) -> String {
    let Pause { build, since, until, waiting } = pause;
    let left = until.saturating_sub(now);
    let waiting = count(*waiting, "request");
    format!(
        "build {build} is paused for {}, for {left}s more: {waiting} waiting; builds resume ends it\n",
        age(now, *since)
    )
}

fn table(rows: &[Row], now: u64) -> String {
    let mut text = String::from("BUILD  ROLE   STATE       PORT WORKERS REQUESTS   MEMORY   AGE     SIZE  TAG\n");
    for row in rows {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        writeln!(
            text,
            "{:<6} {:<6} {:<10} {:>5} {:>7} {:>8} {:>8} {:>5} {:>8}  {}{}",
            row.build,
            row.role.unwrap_or("-"),
            row.state,
            or_dash(row.port.map(|port| port.to_string())),
            row.workers,
            row.requests,
            bytes(row.memory),
            or_dash(row.created.map(|created| age(now, created))),
            or_dash(row.size.map(bytes)),
            row.tag.as_deref().unwrap_or("-"),
            bad(row.bad.as_ref()),
        )
        .unwrap_or_default();
    }
    text
}

/// What stands behind the row of a bad build.
pub fn bad(bad: Option<&Bad>) -> String {
    bad.map_or_else(String::new, |bad| format!("  bad: {}", bad.reason))
}

/// The name of a role.
pub fn role(role: Role) -> &'static str {
    role.link_name().trim_start_matches('_')
}

/// A time span in the largest unit that fits: 59s, 3m, 2h, 9d.
pub fn age(now: u64, then: u64) -> String {
    match now.saturating_sub(then) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A size in the largest unit that fits: 512 B, 3.1 MB.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || size >= 99.5 { 0 } else { 1 };
    format!("{size:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!(
            [0, 999, 1000, 289_000_000, 3_140_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "289 MB", "3.1 GB"]
        );
        assert_eq!([0, 59, 60, 7200, 864_000].map(|then| age(then, 0)), ["0s", "59s", "1m", "2h", "10d"]);
    }

    #[test]
    fn a_row_shows_what_matters() {
        let row = Row {
            build: BuildName::from_number(1),
            state: State::Warm,
            role: Some("stage"),
            tag: Some("v1.2".into()),
            port: Some(2010),
            workers: 2,
            requests: 17,
            memory: 61_000_000,
            created: Some(100),
            size: None,
            bad: Some(Bad { at: 200, reason: "500 at /cart".into() }),
        };
        assert_eq!(
            table(&[row], 220),
            "BUILD  ROLE   STATE       PORT WORKERS REQUESTS   MEMORY   AGE     SIZE  TAG\n\
             b      stage  warm        2010       2       17  61.0 MB    2m        -  v1.2  bad: 500 at /cart\n"
        );
    }
}
