//! The command line. One file a verb: its arguments on top, then the story of the verb.

mod activate;
mod archive;
mod canary;
mod create;
mod deactivate;
mod deploy;
mod diff;
mod doctor;
mod find_free;
mod freeze;
mod gates;
mod history;
mod hold;
mod init;
mod list;
mod logs;
mod maintenance;
mod mark;
mod migrate;
mod migrations;
mod pause;
mod port;
mod prune;
mod restart;
mod resume;
mod rm;
mod rollback;
mod run;
mod shell;
mod stage;
mod status;
mod stop;
mod swap_live;
mod table;
mod thaw;
mod up;
mod verify;
mod warmup;
mod watch;
mod wheels;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::model::name::{BadName, BuildName, BuildRef};
use crate::report::Done;
use crate::site::Site;
use crate::system::signals;

/// Deploys Django and other WSGI sites: lettered builds under uWSGI and nginx, and the names live and stage, which
/// move from one build to another without losing a request.
#[derive(Debug, Parser)]
#[command(name = "builds", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed and the site is as it was, 2 wrong usage, name or configuration,\n\
    3 refused by a rule, 4 another command holds the lock, 5 the build is unhealthy, 6 taken back after the change,\n\
    130 ended by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// The site's configuration [default: builds.toml here or in a parent directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON document on standard output, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Only warnings and errors on standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// On standard error, also the programs that are run
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// How long to wait for locks that other commands hold, all together
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub wait: u64,
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $variant:ident($module:ident) = $name:literal;)*) => {
        /// The verbs.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$doc])* $variant($module::Arguments),)*
        }

        impl Command {
            /// The verb as it is typed.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            fn run(&self, cli: &Cli) -> Result<Done> {
                match self {
                    $(Self::$variant(arguments) => $module::run(arguments, cli),)*
                }
            }
        }
    };
}

verbs! {
    /// From nothing to a running site; safe to run again
    Init(init) = "init";
    /// Fetch Python and npm packages into the local stores; only this, and init where there are none, reach a network
    Wheels(wheels) = "wheels";
    /// Print the first unused build name
    FindFree(find_free) = "find-free";
    /// Make a build; it listens afterwards
    Create(create) = "create";
    /// Start a build's workers; returns when all have loaded the application
    Activate(activate) = "activate";
    /// Replace a build's workers by new ones, with new settings, without losing a request
    Restart(restart) = "restart";
    /// Let some workers of a build answer a share of the live build's requests
    Canary(canary) = "canary";
    /// Let a build's workers finish, then stop them
    Deactivate(deactivate) = "deactivate";
    /// Deactivate a build and stop its vassal
    Stop(stop) = "stop";
    /// Activate and warm a build, then point _stage at it
    Stage(stage) = "stage";
    /// Mark a build as bad, so that it gets no name, or as good again
    Mark(mark) = "mark";
    /// Send requests straight to a build until every worker has answered
    Warmup(warmup) = "warmup";
    /// Run the commands of [gates] in a build, as a deploy does
    Gates(gates) = "gates";
    /// What a build's databases lack, and whether the code in use would go on
    Migrations(migrations) = "migrations";
    /// Apply the database migrations of a build
    Migrate(migrate) = "migrate";
    /// Make a build live and the old live build stage
    SwapLive(swap_live) = "swap-live";
    /// Look at the live build for a while, and take it back if it does worse than the one before
    Watch(watch) = "watch";
    /// Make a build and make it live, step by step
    Deploy(deploy) = "deploy";
    /// Let nginx answer visitors of live with 503 and a page, or no longer
    Maintenance(maintenance) = "maintenance";
    /// Make the build live again that was live before
    Rollback(rollback) = "rollback";
    /// Let nobody move the names until thaw, but back
    Freeze(freeze) = "freeze";
    /// Let the names be moved again
    Thaw(thaw) = "thaw";
    /// Let requests to live wait, and lose none, while something short is done
    Pause(pause) = "pause";
    /// Let requests go on that a pause holds
    Resume(resume) = "resume";
    /// What ends a pause in time; `pause` and `resume` start it
    #[command(hide = true)]
    Hold(hold) = "hold";
    /// Stop and delete a build
    Rm(rm) = "rm";
    /// Remove builds that are no longer needed, and static files of removed ones
    Prune(prune) = "prune";
    /// Stop a build and let its unchanged files take no room of their own
    Archive(archive) = "archive";
    /// Every build with state, role, workers, requests, memory, age and size
    Status(status) = "status";
    /// Every build with role, tag and age, without asking uWSGI
    List(list) = "list";
    /// What was changed, when, by whom, and how it ended
    History(history) = "history";
    /// Show commits, packages, settings and static files that differ between two builds
    Diff(diff) = "diff";
    /// Tell what was edited, added or removed in a build since its create
    Verify(verify) = "verify";
    /// Show what a build's workers print and answer, or those of whatever is live
    Logs(logs) = "logs";
    /// Turn a build's name into its port, or a port into a name
    Port(port) = "port";
    /// Run a command in a build's environment
    Run(run) = "run";
    /// Open Django's shell, or Python, in a build's environment
    Shell(shell) = "shell";
    /// Run uWSGI and nginx in the foreground
    Up(up) = "up";
    /// Check the host, the site and every precondition
    Doctor(doctor) = "doctor";
}

/// Runs the command that was asked for.
///
/// # Errors
/// Those of the command.
pub fn run(cli: &Cli) -> Result<Done> {
    cli.command.run(cli).map_err(|error| error.or_interrupted(signals::noted()))
}

impl Cli {
    /// The site that the command works on.
    fn site(&self) -> Result<Site> {
        Site::open(self.common.config.as_deref(), Duration::from_secs(self.common.wait))
    }
}

/// A build name from the command line. It is parsed here, not by clap, so that a wrong one is explained as every error is.
fn name(text: &str) -> Result<BuildName> {
    text.parse().map_err(|bad: BadName| Error::from(bad))
}

/// A build name or role from the command line.
fn reference(text: &str) -> Result<BuildRef> {
    text.parse().map_err(|bad: BadName| Error::from(bad))
}
