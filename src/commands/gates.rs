use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Cli;
use crate::error::{Error, Result};
use crate::model::config::ArgumentList;
use crate::model::name::BuildName;
use crate::model::rules;
use crate::model::tag::Tag;
use crate::report::Done;
use crate::site::Site;
use crate::steps::in_build;
use crate::system::files;
use crate::system::process::{CommandError, Outcome};

/// Which build, and which gates.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds gates c --before live")]
pub struct Arguments {
    /// A build's name, live or stage
    #[arg(default_value = "stage")]
    name: String,
    /// Only the commands that a deploy runs before this [default: both]
    #[arg(long, value_name = "STEP")]
    before: Option<Gate>,
}

/// What stands before a step of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gate {
    /// The build is not staged before its commands pass.
    #[value(name = "stage")]
    BeforeStage,
    /// It is not live before they do.
    #[value(name = "live")]
    BeforeLive,
}

/// A command of a gate that has ended well.
#[derive(Clone, Debug, Serialize)]
pub struct Passed {
    /// The gate's key.
    pub gate: &'static str,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Gate {
    /// Its key in `[gates]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::BeforeStage => "before_stage",
            Self::BeforeLive => "before_live",
        }
    }

    fn step(self) -> &'static str {
        match self {
            Self::BeforeStage => "stage",
            Self::BeforeLive => "live",
        }
    }

    fn commands(self, site: &Site) -> &[ArgumentList] {
        match self {
            Self::BeforeStage => &site.config.gates.before_stage,
            Self::BeforeLive => &site.config.gates.before_live,
        }
    }
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let (name, _lock) = site.claim(super::reference(&arguments.name)?)?;
    let gates = arguments.before.map_or(vec![Gate::BeforeStage, Gate::BeforeLive], |gate| vec![gate]);
    let mut passed = Vec::new();
    for gate in gates {
        passed.extend(pass(&site, name, gate)?);
    }
    let text = match passed.len() {
        0 => format!("no gate for build {name}: [gates] in builds.toml names no command"),
        1 => format!("build {name} has passed 1 command"),
        many => format!("build {name} has passed {many} commands"),
    };
    Ok(Done::looked(text).with("build", name).with("passed", passed))
}

/// Runs the commands of a gate in a build, one after the other. The caller holds the build's lock.
///
/// # Errors
/// The build has no workers, or a command does not end well: what it said is in the error.
pub fn pass(site: &Site, name: BuildName, gate: Gate) -> Result<Vec<Passed>> {
    let commands = gate.commands(site);
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let build = site.observe(name)?;
    rules::running(name, build.state())?;
    let tag = build.manifest.map_or_else(Tag::untagged, |manifest| manifest.tag);
    let url = format!("http://127.0.0.1:{}", site.own_port(name)?);
    files::private_directory(&site.layout.logs(), 0o750)?;
    let log = site.layout.gate_log(name, gate.key());
    let mut passed = Vec::new();
    for command in commands {
        let command = command.as_slice();
        let began = Instant::now();
        let run = in_build(site, name, &tag, command).variables([("BUILD_URL", &url)]);
        run.limit("gates.timeout", site.config.gates.timeout)
            .logged(&log)
            .map_err(|error| closed(name, gate, error))?;
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!("gate     {} ({seconds:.2} s)", command.join(" "));
        passed.push(Passed { gate: gate.key(), command: command.to_vec(), seconds });
    }
    Ok(passed)
}

/// What is told of a gate that does not open.
fn closed(name: BuildName, gate: Gate, error: CommandError) -> Error {
    if matches!(error.outcome, Outcome::Interrupted(_) | Outcome::NoLog(_)) {
        return error.into();
    }
    Error::Unhealthy {
        name,
        problem: format!("gates.{} is closed: {}", gate.key(), error.what()),
        evidence: error.cause(),
        next: format!("{}; then builds gates {name} --before {} tries again", error.next(), gate.step()),
    }
}
