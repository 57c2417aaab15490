//! Deploys Django and other WSGI sites on plain Linux servers, without losing a request.
//!
//! The layers: `main` → `commands` → `steps`, `serve` → `system` → `model`.

mod commands;
mod error;
mod model;
mod report;
mod serve;
mod site;
mod steps;
mod system;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Cli;
use crate::system::signals;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return report::usage(&answer),
    };
    report::start_log(cli.common.quiet, cli.common.verbose);
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
