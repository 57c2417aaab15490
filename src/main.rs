//! Deploys Django and other WSGI sites on plain Linux servers, without losing a request.
//!
//! The layers: `main` → `commands` → `steps`, `serve` → `system` → `model`.

mod commands;
#[cfg(test)]
mod damaged;
mod error;
mod model;
mod report;
mod serve;
mod site;
mod steps;
mod system;

use std::process::ExitCode;

use clap::Parser;
use nix::sys::stat::{Mode, umask};

use crate::commands::Cli;
use crate::system::{signals, terminal};

fn main() -> ExitCode {
    open_to_the_group();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return report::usage(&answer),
    };
    report::start_log(cli.common.quiet, cli.common.verbose);
    if !(cli.common.quiet || cli.common.json) {
        terminal::show_rows();
    }
    if let Err(error) = signals::watch() {
        tracing::warn!("a signal would end this command at once: {error}");
    }
    let result = commands::run(&cli);
    let signal = signals::noted().filter(|_| result.is_err());
    let code = report::finish(cli.command.name(), cli.common.json, result);
    if let Some(signal) = signal {
        signals::end_by(signal);
    }
    code
}

/// Lets the group of what this command and its programs make, nginx among it, read and pass, and nobody else write: under
/// a umask of 077 nginx would find nothing, under 002 it could give uWSGI something to run. What is secret is closed by
/// whoever makes it.
fn open_to_the_group() {
    let given = umask(Mode::empty());
    umask((given | Mode::from_bits_truncate(0o022)) - Mode::from_bits_truncate(0o050));
}
