//! What must be so after a command was killed, and after it failed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::cases::Case;
use super::trace::{self, Blow, Call};
use crate::site::{Said, Site};

/// How often a call is aimed at.
const AIMS: usize = 10;

/// What an operator sees of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    names: [Option<PathBuf>; 2],
    builds: BTreeMap<String, String>,
    canary: Value,
    maintenance: bool,
}

impl State {
    pub fn of(site: &Site) -> Self {
        // The judge's own look at the live server warms it.
        let text = |value: &Value| value.as_str().unwrap().replace("warm", "ready");
        let status = site.json(&["status"]);
        let rows = status["builds"].as_array().unwrap_or_else(|| panic!("{status}")).clone();
        Self {
            names: ["_live", "_stage"].map(|link| fs::canonicalize(site.root().join("builds").join(link)).ok()),
            builds: rows.iter().map(|row| (text(&row["build"]), text(&row["state"]))).collect(),
            canary: status["canary"].clone(),
            maintenance: status["maintenance"].is_u64(),
        }
    }

    /// Whether this is `start`, but for what a failure may do to the command's build.
    fn is_hardly(&self, start: &Self, case: &Case) -> bool {
        let allowed = |name: &str| {
            let (now, before) = (self.builds.get(name), start.builds.get(name));
            let own = case.args.get(1).is_none_or(|own| own.starts_with('-') || *own == name);
            now == before || own && case.between.contains(&now.map_or("", String::as_str))
        };
        // What they have done of several things stays.
        let in_parts = [&["init"][..], &["deploy", "--abort"]].contains(&case.args);
        (in_parts || self.names == start.names)
            && self.canary == start.canary
            && self.maintenance == start.maintenance
            && self.builds.keys().chain(start.builds.keys()).all(|name| allowed(name))
    }
}

/// Kills a command at a call, and looks; then runs it again, and looks.
pub fn after_kill(site: &Site, case: &Case, end: &State, call: &Call) -> Result<(), String> {
    strike(site, case, call, Blow::Kill)?;
    serves(site)?;
    completes(site, case, end)
}

/// Lets a call fail, and looks at the error and the site; then runs the command again, and looks.
pub fn after_failure(
    site: &Site,
    case: &Case,
    (start, end): (&State, &State),
    call: &Call,
    errno: &str,
) -> Result<(), String> {
    let blow = match errno {
        "ENOSPC" => Blow::Fail("ENOSPC"),
        "EIO" => Blow::Fail("EIO"),
        _ => Blow::Fail("EACCES"),
    };
    let said = strike(site, case, call, blow)?;
    serves(site)?;
    let now = State::of(site);
    if said.code == 0 {
        check(now == *end, || format!("it says that it is done, and is not: {now:?}\n{said:?}"))?;
    } else {
        explains(site, &said, errno)?;
        check(now.is_hardly(start, case), || format!("the site was {start:?}\nand is  {now:?}\n{}", said.err))?;
    }
    let left = leftovers(&site.root(), case.marker);
    check(left.is_empty(), || format!("left behind: {left:?}\n{said:?}"))?;
    completes(site, case, end)
}

/// Strikes until it meets the call that was meant.
fn strike(site: &Site, case: &Case, call: &Call, blow: Blow) -> Result<Said, String> {
    let mut number = call.number;
    for _ in 0..AIMS {
        (case.prepare)(site);
        match trace::strike(site, case, (call, number), blow) {
            Ok(said) => return Ok(said),
            Err(other) => number = other,
        }
    }
    Err("the call was not met".into())
}

/// The three lines of an error, with the path and the cause.
fn explains(site: &Site, said: &Said, errno: &str) -> Result<(), String> {
    let cause = match errno {
        "ENOSPC" => "No space left on device",
        "EIO" => "Input/output error",
        _ => "Permission denied",
    };
    let dir = site.dir.display().to_string();
    let parts = ["error: ", "\n  why: ", "\n next: ", cause, &dir];
    let lacks: Vec<_> = parts.iter().filter(|part| !said.err.contains(**part)).collect();
    check([1, 6].contains(&said.code) && lacks.is_empty(), || {
        format!("exit {}, lacks {lacks:?}: {}", said.code, said.err)
    })
}

/// Both names lead to complete, different builds, nginx would load what they mean, and live answers.
fn serves(site: &Site) -> Result<(), String> {
    let manifest = |link: &str| {
        let dir = site.root().join("builds").join(link);
        let manifest = match fs::read(dir.join("build.json")) {
            Ok(text) => serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string())?,
            Err(_) if !dir.is_symlink() => return Ok(None),
            Err(error) => return Err(format!("{link}: {error}")),
        };
        check(manifest["state"] == "complete", || format!("{link} is {}", manifest["state"]))?;
        Ok(Some(manifest["name"].as_str().unwrap_or_default().to_owned()))
    };
    let (live, stage) = (manifest("_live")?, manifest("_stage")?);
    check(live.is_none() || live != stage, || format!("both names are {live:?}"))?;
    let conf = site.root().join("conf/nginx.conf");
    let test = Command::new("nginx").args(["-t", "-q", "-e", "stderr", "-c"]).arg(conf).output().unwrap();
    check(test.status.success(), || String::from_utf8_lossy(&test.stderr).into_owned())?;
    let Some(live) = live else { return Ok(()) };
    let answer = site.live("/");
    if answer.1.contains("Back soon") {
        return check(site.root().join("assets/_live.maintenance").exists(), || format!("{answer:?}"));
    }
    let canary = site.build("c").join("canary.ini").is_symlink().then(|| "c".to_owned());
    let answers = |build: &String| answer.1.contains(&format!(r#""build": "{build}""#));
    check(answer.0 == 200 && [Some(live), canary].iter().flatten().any(answers), || format!("{answer:?}"))
}

/// The command, run again, ends as it does undisturbed.
fn completes(site: &Site, case: &Case, end: &State) -> Result<(), String> {
    let over = State::of(site) == *end;
    let said = (case.again)(site, case);
    let refused = case.over.is_some_and(|(code, words)| over && said.code == code && said.err.contains(words));
    check(said.code == 0 || refused, || format!("run again: {said:?}"))?;
    let now = State::of(site);
    check(now == *end, || format!("run again, it should be {end:?}\nand is {now:?}"))?;
    let left = leftovers(&site.root(), None);
    check(left.is_empty(), || format!("left behind after another run: {left:?}"))?;
    let plain = |name: &String| name.len() == 1;
    check(plain(&site.names().0) && plain(&site.names().1), || format!("the links are {:?}", site.names()))?;
    serves(site)
}

/// What no command should leave, anywhere below a directory.
fn leftovers(root: &Path, marker: Option<&str>) -> Vec<PathBuf> {
    let is_one = |name: &str| {
        let temporary = name.starts_with('.') && (name.ends_with(".tmp") || name.contains('~'));
        let marked = [".removing-", ".source"].iter().any(|mark| name.starts_with(mark)) || name.ends_with(".draining");
        (temporary || marked) && marker.is_none_or(|marker| name != marker)
    };
    let entries = walkdir::WalkDir::new(root).into_iter().flatten();
    entries.filter(|entry| is_one(&entry.file_name().to_string_lossy())).map(walkdir::DirEntry::into_path).collect()
}

/// Removes what a try has left, so that the next is judged by itself.
pub fn clean(site: &Site) {
    for path in leftovers(&site.root(), None) {
        drop(fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)));
    }
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
