//! What `prune` would do, and what comes of it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::super::status::{age, bytes};
use super::super::{rm, rollback};
use crate::error::Result;
use crate::model::layout;
use crate::model::name::BuildName;
use crate::model::observed::Build;
use crate::model::retention::{self, Candidate, Limits, Reason};
use crate::report::Done;
use crate::site::Site;
use crate::steps;
use crate::system::aside::{self, Aside};
use crate::system::weight::Weight;
use crate::system::{disk, files};

/// All builds and what becomes of each. The one that the caller has locked is not busy.
pub fn judge(site: &Site, limits: Limits, own: Option<BuildName>) -> Result<Vec<(Candidate, Reason)>> {
    let names = site.names()?;
    let builds = site.observe_all()?;
    let (canary, target) = (site.canary()?, rollback::target(site)?);
    let candidate = |build: &Build| Candidate {
        name: build.name,
        state: build.state(),
        role: names.role(build.name),
        created: build.manifest.as_ref().map_or(0, |manifest| manifest.created),
        bad: build.manifest.as_ref().is_some_and(|manifest| manifest.bad.is_some()),
        target: target == Some(build.name),
        canary: canary.is_some_and(|canary| canary.name == build.name || canary.of == build.name),
        busy: own != Some(build.name) && site.is_busy(build.name),
        foreign: site.check_ours(build.name).is_err(),
    };
    let candidates: Vec<Candidate> = builds.iter().map(candidate).collect();
    let of = |name| candidates.iter().find(|candidate| candidate.name == name).copied();
    let verdicts = retention::judge(&candidates, limits, files::now());
    Ok(verdicts.into_iter().filter_map(|(name, reason)| Some((of(name)?, reason))).collect())
}

/// What becomes of the builds and of what removed ones have left.
pub struct Plan {
    pub rows: Vec<Row>,
    pub statics: Vec<Static>,
    /// Builds of which a removal that was killed has left something.
    pub remains: Vec<BuildName>,
    /// Whether the bytes are what is freed, rather than the most that may be, as files may share blocks.
    exact: bool,
}

/// One build.
#[derive(Serialize)]
pub struct Row {
    pub build: BuildName,
    pub goes: bool,
    pub reason: String,
    created: Option<u64>,
    /// What its removal frees after those before it; of a build that stays, where that was asked for.
    bytes: Option<u64>,
}

/// The static files of the removed builds of one name.
#[derive(Serialize)]
pub struct Static {
    /// Their name.
    build: String,
    #[serde(flatten)]
    pub aside: Aside,
}

impl Plan {
    /// Weighs what goes; what stays, too, where `all` is asked for.
    pub fn make(site: &Site, limits: Limits, all: bool) -> Result<Self> {
        let mut weight = Weight::default();
        let (mut gone, mut counted) = (BTreeSet::new(), BTreeSet::new());
        let mut rows = Vec::new();
        for (candidate, reason) in judge(site, limits, None)? {
            let (build, goes) = (candidate.name, reason.goes());
            let mut bytes = None;
            if goes || all {
                let without = gone.iter().copied().chain([build]).collect();
                let mut trees = trees(site, build, &without)?;
                trees.retain(|tree| !counted.contains(tree));
                let freed = weight.of(&trees)?;
                bytes = Some(freed.bytes);
                if goes {
                    weight.add(freed);
                    gone = without;
                    counted.extend(trees);
                }
            }
            let created = Some(candidate.created).filter(|&created| created > 0);
            rows.push(Row { build, goes, reason: reason.to_string(), created, bytes });
        }
        let exact = disk::keeps_blocks_apart(&site.layout.builds());
        Ok(Self { rows, statics: statics(site)?, remains: remains(site)?, exact })
    }

    pub fn removes(&self) -> bool {
        !self.remains.is_empty()
            || self.rows.iter().any(|row| row.goes)
            || self.statics.iter().any(|place| place.aside.old > 0)
    }

    fn bytes(&self) -> u64 {
        let builds: u64 = self.rows.iter().filter(|row| row.goes).filter_map(|row| row.bytes).sum();
        builds + self.statics.iter().map(|place| place.aside.old_bytes).sum::<u64>()
    }

    pub fn done(&self, changed: bool, text: String) -> Done {
        Done::changed(changed, text)
            .with("builds", &self.rows)
            .with("static", &self.statics)
            .with("remains", &self.remains)
            .with("bytes", self.bytes())
            .with("exact", self.exact)
    }

    pub fn summary(&self) -> String {
        let going: Vec<String> = self.rows.iter().filter(|row| row.goes).map(|row| row.build.to_string()).collect();
        let stay = self.rows.len() - going.len();
        match going.as_slice() {
            [] if self.removes() => {
                format!("no build is removed, {} of old files are; {stay} stay", bytes(self.bytes()))
            }
            [] => format!("nothing to remove; {stay} builds stay"),
            _ => format!("removed {}: {}; {stay} stay", going.join(" "), bytes(self.bytes())),
        }
    }

    pub fn table(&self) -> String {
        let mut text = String::from("BUILD        AGE     FREES  WHY\n");
        for row in &self.rows {
            let does = if row.goes { "goes" } else { "stays" };
            let age = row.created.map_or_else(|| "-".into(), |created| age(files::now(), created));
            let frees = row.bytes.map_or_else(|| "-".into(), bytes);
            writeln!(text, "{:<6} {does:<5} {age:>4} {frees:>9}  {}", row.build, row.reason).unwrap_or_default();
        }
        for name in &self.remains {
            writeln!(text, "{name:<6} goes     -         -  what a removal has left that was killed")
                .unwrap_or_default();
        }
        for Static { build, aside } in &self.statics {
            let frees = bytes(aside.old_bytes);
            let does = if aside.old > 0 { "goes" } else { "stays" };
            let why = format!("static files of removed builds named {build}: {} of {} too old", aside.old, aside.files);
            // In the first column it would pass for a build that is there.
            writeln!(text, "-      {does:<5}    - {frees:>9}  {why}").unwrap_or_default();
        }
        let most = if self.exact { "" } else { "at most " };
        let going = self.rows.iter().filter(|row| row.goes).count();
        writeln!(text, "{going} of {} builds would go, and free {most}{}", self.rows.len(), bytes(self.bytes()))
            .unwrap_or_default();
        text
    }
}

impl Row {
    pub fn stays(&mut self, why: Reason) {
        (self.goes, self.reason, self.bytes) = (false, why.to_string(), None);
    }
}

/// What goes with a build: its directory, and what only it and others that go have in the store.
fn trees(site: &Site, name: BuildName, without: &BTreeSet<BuildName>) -> Result<Vec<PathBuf>> {
    let mut trees = steps::unused(site, without)?;
    trees.push(site.layout.build(name).dir().to_owned());
    if site.config.keep.static_days == 0 {
        trees.push(site.layout.static_of(name));
    }
    Ok(trees)
}

/// Static files of removed builds, by the names of those.
fn statics(site: &Site) -> Result<Vec<Static>> {
    let until = rm::oldest(site);
    let entries = fs::read_dir(site.layout.removed_statics()).into_iter().flatten().flatten();
    let place = |entry: fs::DirEntry| {
        let build = entry.file_name().to_string_lossy().into_owned();
        aside::look(&entry.path(), until).map(|aside| Static { build, aside })
    };
    let mut statics = entries.map(place).collect::<Result<Vec<_>>>()?;
    statics.sort_by(|one, other| one.build.cmp(&other.build));
    Ok(statics)
}

/// Builds that a killed `rm` or `prune` has removed in part.
fn remains(site: &Site) -> Result<Vec<BuildName>> {
    let names = |place: PathBuf, start: &str| {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix(start)?.parse().ok()).collect::<Vec<_>>()
    };
    let builds = site.builds()?;
    let statics = names(site.layout.statics(), "").into_iter().filter(|name| !builds.contains(name));
    let doomed = names(site.layout.builds(), layout::DOOMED);
    Ok(statics.chain(doomed).collect::<BTreeSet<_>>().into_iter().collect())
}
