//! What is told of a program that did not do its work.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

/// A program that did not do its work.
#[derive(Debug)]
pub struct CommandError {
    /// What was typed, so to speak.
    pub command: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The end of its output.
    pub tail: String,
    /// Where the rest of its output is.
    pub log: Option<PathBuf>,
    /// The key of `builds.toml` that says how long it may take, where there is one.
    pub limit: Option<&'static str>,
    /// What most likely helps.
    pub hint: Option<&'static str>,
}

/// How a failed program ended.
#[derive(Debug)]
pub enum Outcome {
    /// It could not be started.
    NotStarted(io::Error),
    /// Its output has nowhere to go.
    NoLog(io::Error),
    /// It said no.
    Failed(ExitStatus),
    /// It did not end in time and was killed.
    TimedOut(Duration),
    /// It was ended, as this process is to end.
    Interrupted(Signal),
}

impl CommandError {
    /// What failed.
    pub fn what(&self) -> String {
        match &self.outcome {
            Outcome::NotStarted(_) => format!("cannot run {}", self.command),
            Outcome::NoLog(_) => format!("cannot write the log of {}", self.command),
            Outcome::Failed(status) => format!("{} ended with {status}", self.command),
            Outcome::TimedOut(after) => format!("{} did not end within {} s", self.command, after.as_secs()),
            Outcome::Interrupted(_) => format!("{} was ended", self.command),
        }
    }

    /// Why, as far as it said.
    pub fn cause(&self) -> String {
        match &self.outcome {
            Outcome::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => "the program is not there".into(),
            Outcome::NotStarted(error) => error.to_string(),
            // What it said on its way out tells nothing.
            Outcome::Interrupted(_) => String::new(),
            Outcome::NoLog(error) => match &self.log {
                Some(log) => format!("{}: {error}", log.display()),
                None => error.to_string(),
            },
            _ if self.tail.is_empty() => "it said nothing".into(),
            _ => self.tail.clone(),
        }
    }

    /// What to do.
    pub fn next(&self) -> String {
        let hint = self.hint.unwrap_or("mend the cause");
        match (&self.outcome, &self.log) {
            (Outcome::NotStarted(_), _) => {
                "install it or correct its name; builds doctor checks what builds itself needs".into()
            }
            (Outcome::TimedOut(_), log) => {
                let said = log.as_ref().map_or_else(String::new, |log| format!(", {} tells more", log.display()));
                let longer =
                    self.limit.map_or_else(String::new, |key| format!("; {key} in builds.toml lets it take longer"));
                format!("find out what it waited for{said}{longer}")
            }
            (Outcome::NoLog(_), Some(log)) => {
                format!("ls -ld {0} and df -h {0} show why; then run the command again", log.display())
            }
            (_, Some(log)) => format!("{hint}; all of the output is in {}", log.display()),
            (_, None) => "mend the cause and run the command again".into(),
        }
    }
}
