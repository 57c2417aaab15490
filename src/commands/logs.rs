use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::Cli;
use crate::error::{Error, Result};
use crate::model::layout::Role;
use crate::model::name::{BuildName, BuildRef};
use crate::report::Done;
use crate::site::Site;
use crate::system::follow::{self, Follower};
use crate::system::signals::Interrupted;
use crate::system::{files, wait};

/// Until whoever follows ends it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Whose, and how much.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds logs live -f")]
pub struct Arguments {
    /// A build's name, live or stage
    name: String,
    /// Show each further line as it comes, until Ctrl-C; of live or stage, those of whatever is so as it moves
    #[arg(short, long)]
    follow: bool,
    /// Only what workers print: tracebacks, warnings
    #[arg(long, conflicts_with = "requests")]
    errors: bool,
    /// Only the requests that they have answered
    #[arg(long)]
    requests: bool,
    /// How many lines of each log, the last ones
    #[arg(short, value_name = "N", default_value_t = 10)]
    number: usize,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let reference = super::reference(&arguments.name)?;
    let name = find(&site, reference)?;
    let logs = arguments.logs(&site, name, arguments.number)?;
    match (arguments.follow, cli.common.json) {
        (true, json) => follow(&site, arguments, reference, name, logs, json),
        (false, true) => {
            let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
            let done = Done::looked("").with("build", name);
            Ok(logs.iter().fold(done, |done, log| done.with(log.kind, log.last.iter().map(text).collect::<Vec<_>>())))
        }
        (false, false) => {
            let mut printer = Printer::new(arguments, false);
            let printed = logs.iter().try_for_each(|log| log.last.iter().try_for_each(|line| printer.line(log, line)));
            end(printed.map_err(End::from), name)
        }
    }
}

/// The build that is meant: one that is gone may have left its logs.
fn find(site: &Site, reference: BuildRef) -> Result<BuildName> {
    match reference {
        BuildRef::Name(name) if files::exists(&site.layout.error_log(name)) || site.is_build(name) => Ok(name),
        BuildRef::Name(name) => Err(site.missing(name)),
        role => site.resolve(role),
    }
}

/// One of a build's two logs.
struct Log {
    /// What it holds.
    kind: &'static str,
    build: BuildName,
    path: PathBuf,
    /// The lines before those that are followed.
    last: Vec<Vec<u8>>,
    follower: Follower,
}

impl Arguments {
    /// The logs that are wanted of a build, with the last lines of each.
    fn logs(&self, site: &Site, build: BuildName, number: usize) -> Result<Vec<Log>> {
        let errors = (!self.requests).then(|| ("errors", site.layout.error_log(build)));
        let requests = (!self.errors).then(|| ("requests", site.layout.access_log(build)));
        let open = |(kind, path): (&'static str, PathBuf)| {
            let mut last = Vec::new();
            let follower = follow::backwards(&path, |line| {
                if last.len() < number {
                    last.push(line.to_vec());
                }
                last.len() < number
            })?;
            last.reverse();
            Ok(Log { kind, build, path, last, follower })
        };
        errors.into_iter().chain(requests).map(open).collect()
    }
}

/// What ends the following.
enum End {
    /// Whoever follows has what they wanted.
    Asked,
    Failed(Error),
}

impl From<Interrupted> for End {
    fn from(_: Interrupted) -> Self {
        Self::Asked
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A reader that has gone away, such as `head`, has what it wanted.
            io::ErrorKind::BrokenPipe => Self::Asked,
            _ => Self::Failed(Error::io("write to", Path::new("standard output"))(error)),
        }
    }
}

/// Shows lines as they come; a build that gets the role goes on from where it then is.
fn follow(
    site: &Site,
    arguments: &Arguments,
    reference: BuildRef,
    name: BuildName,
    mut logs: Vec<Log>,
    json: bool,
) -> Result<Done> {
    let mut printer = Printer::new(arguments, json);
    let (mut followed, mut begun) = (name, false);
    let watched = [site.layout.logs(), site.layout.builds()];
    let ended = wait::until(&watched.each_ref().map(PathBuf::as_path), FOREVER, || {
        for log in &mut logs {
            let mut lines = if begun { Vec::new() } else { std::mem::take(&mut log.last) };
            log.follower.lines(|line| lines.push(line.to_vec())).map_err(End::Failed)?;
            lines.iter().try_for_each(|line| printer.line(log, line))?;
        }
        begun = true;
        if let Some(next) = holder(site, reference).filter(|&next| next != followed) {
            printer.moved(&arguments.name, next)?;
            followed = next;
            logs = arguments.logs(site, next, 0).map_err(End::Failed)?;
        }
        Ok(None)
    });
    end(ended.map(|_: Option<()>| ()), followed)
}

/// Whose turn it is, where a role is followed and somebody has it.
fn holder(site: &Site, reference: BuildRef) -> Option<BuildName> {
    let role = match reference {
        BuildRef::Name(_) => return None,
        BuildRef::Live => Role::Live,
        BuildRef::Stage => Role::Stage,
    };
    fs::read_link(site.layout.link(role)).ok()?.to_str()?.parse().ok()
}

fn end(ended: Result<(), End>, build: BuildName) -> Result<Done> {
    match ended {
        Err(End::Failed(error)) => Err(error),
        Ok(()) | Err(End::Asked) => Ok(Done::looked("").with("build", build)),
    }
}

/// Writes lines as `tail -f` of several files does: a heading wherever another file goes on.
struct Printer {
    json: bool,
    headed: bool,
    shown: Option<PathBuf>,
}

impl Printer {
    fn new(arguments: &Arguments, json: bool) -> Self {
        Self { json, headed: !arguments.errors && !arguments.requests, shown: None }
    }

    fn line(&mut self, log: &Log, line: &[u8]) -> io::Result<()> {
        if self.json {
            return say(&json!({"build": log.build, "log": log.kind, "line": String::from_utf8_lossy(line)}));
        }
        if self.headed && self.shown.as_deref() != Some(&log.path) {
            let file = log.path.file_name().unwrap_or(log.path.as_os_str());
            self.heading(&file.to_string_lossy())?;
            self.shown = Some(log.path.clone());
        }
        write(line)
    }

    /// Says that another build has the role.
    fn moved(&mut self, role: &str, to: BuildName) -> io::Result<()> {
        if self.json {
            return say(&json!({"build": to, "role": role}));
        }
        self.heading(&format!("build {to} is {role}"))?;
        self.shown = Some(PathBuf::new());
        Ok(())
    }

    fn heading(&self, text: &str) -> io::Result<()> {
        let gap = if self.shown.is_some() { "\n" } else { "" };
        write(format!("{gap}==> {text} <==").as_bytes())
    }
}

fn say(event: &Value) -> io::Result<()> {
    write(event.to_string().as_bytes())
}

fn write(line: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
