//! What goes wrong, in the three parts that an operator needs, and the exit code that a script branches on.

mod from;
mod link_fault;

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::model::config::ConfigError;
use crate::model::migrations::Stop;
use crate::model::name::{BadName, BuildName, BuildRef};
use crate::model::rules::Refusal;
use crate::model::tag::BadTag;
use crate::serve::Trouble;
use crate::serve::checkup::Finding;
use crate::system::lock::Held;
use crate::system::process::CommandError;

pub use link_fault::LinkFault;

/// The result of whatever can fail for a reason that an operator must read.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed command. `what`, `cause` and `next` are its three lines.
#[derive(Debug)]
pub enum Error {
    /// An argument that is no build name.
    Name(BadName),
    /// An argument that is no tag.
    Tag(BadTag),
    /// An argument that is neither a build name nor a port of one.
    NotAPort(String),
    /// No `builds.toml` here or above.
    NoConfig(PathBuf),
    /// `--config` names a file that is not there.
    NoSuchConfig(PathBuf),
    /// A `builds.toml` that is no text file.
    NotText(PathBuf),
    /// A `builds.toml` that cannot be used.
    Config(Box<ConfigError>),
    /// A file that `builds.toml` names and that is not there.
    Absent {
        /// Where it is named: file, line and key.
        place: String,
        /// The file.
        path: PathBuf,
    },
    /// A rule forbids it.
    Refused(Refusal),
    /// Database migrations forbid it.
    Migrations(Box<Stop>),
    /// `_live` or `_stage` is not what it must be.
    BadLink {
        /// The link.
        link: PathBuf,
        /// What is wrong with it.
        fault: LinkFault,
    },
    /// Another command works on the same thing.
    Locked(Held),
    /// A file operation failed.
    Io {
        /// What was being done, as a verb that takes the path.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be run, failed, or took too long.
    Command(CommandError),
    /// A step of a create failed.
    Step {
        /// The step.
        step: &'static str,
        /// The build, which stays incomplete.
        name: BuildName,
        /// The reason.
        source: Box<Error>,
    },
    /// A step of a deploy failed.
    Deploy {
        /// The step.
        step: &'static str,
        /// The new build.
        name: BuildName,
        /// What became of it.
        fate: Fate,
        /// The reason.
        source: Box<Error>,
    },
    /// Something that a command needs is not so.
    Unmet {
        /// What is wrong.
        problem: String,
        /// Why that matters.
        cause: String,
        /// What to do about it.
        next: String,
    },
    /// uWSGI or nginx did not do what was asked.
    Serve(Box<Trouble>),
    /// A build does not load, or does not answer as it must.
    Unhealthy {
        /// The build.
        name: BuildName,
        /// What it did not do.
        problem: String,
        /// The evidence: a traceback, the answers.
        evidence: String,
        /// What to type next.
        next: String,
    },
    /// A change was made and taken back.
    RolledBack(Box<Error>),
    /// A signal asked the command to end before its time.
    Interrupted {
        /// Which.
        signal: Signal,
        /// What it cut short, where that is known.
        during: Option<Box<Error>>,
    },
    /// A precondition that `doctor` found missing.
    Doctor {
        /// How many.
        problems: usize,
        /// All findings, as text.
        text: String,
        /// All findings.
        findings: Vec<Finding>,
    },
}

/// What becomes of a deploy that stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its build is marked bad and stopped, and the names are as they were.
    SetAside,
    /// It can go on later.
    Kept,
    /// The same, and its build is live.
    Live,
}

impl Error {
    /// Wraps an error of a file operation: `.map_err(Error::io("write", &path))`.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Whether it says itself how the deploy that it stops may end.
    fn ends_deploy(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Overtaken { .. } | Refusal::Remade(_)))
    }

    /// This error as what a signal led to, if one has come.
    pub fn or_interrupted(self, signal: Option<Signal>) -> Self {
        match (signal, self) {
            // What programs say that were just ended is no finding.
            (Some(signal), Self::Doctor { .. }) => Self::Interrupted { signal, during: None },
            (Some(signal), error) if !matches!(error, Self::Interrupted { .. }) => {
                Self::Interrupted { signal, during: Some(Box::new(error)) }
            }
            (_, error) => error,
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Name(_) | Self::Tag(_) | Self::NotAPort(_) | Self::NoConfig(_) | Self::Config(_) => 2,
            Self::NoSuchConfig(_) | Self::NotText(_) | Self::Absent { .. } => 2,
            Self::Refused(refusal) if refusal.is_usage() => 2,
            Self::Refused(_) | Self::Migrations(_) | Self::BadLink { .. } => 3,
            Self::Locked(_) => 4,
            Self::Unhealthy { .. } => 5,
            Self::RolledBack(_) => 6,
            Self::Step { source, .. } | Self::Deploy { source, .. } => source.code(),
            // As shells tell it.
            Self::Interrupted { signal, .. } => 128 + *signal as u8,
            Self::Io { .. } | Self::Command(_) | Self::Unmet { .. } | Self::Serve(_) | Self::Doctor { .. } => 1,
        }
    }

    /// What failed.
    pub fn what(&self) -> String {
        match self {
            Self::Name(bad) => bad.to_string(),
            Self::Tag(bad) => bad.to_string(),
            Self::NotAPort(given) => format!("{given:?} is neither a build name nor a build's port"),
            Self::NoConfig(from) => format!("there is no builds.toml in {} or above it", from.display()),
            Self::NoSuchConfig(file) => format!("{} does not exist", file.display()),
            Self::NotText(file) => format!("{} is no builds.toml", file.display()),
            Self::Config(error) => error.what(),
            Self::Absent { place, path } => format!("{place} = {:?}", path.display()),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Migrations(stop) => stop.what(),
            Self::BadLink { link, .. } => format!("{} is not as it must be", link.display()),
            Self::Locked(held) => format!("{} is in use", held.what),
            Self::Io { doing, path, .. } => format!("cannot {doing} {}", path.display()),
            Self::Command(error) => error.what(),
            Self::Step { step, name, .. } => format!("create {name} stopped at step {step}"),
            Self::Deploy { step, name, fate: Fate::Live, .. } => {
                format!("the deploy of {name} stopped at step {step}; {name} is live")
            }
            Self::Deploy { step, name, .. } => format!("the deploy of {name} stopped at step {step}"),
            Self::Unmet { problem, .. } => problem.clone(),
            Self::Serve(trouble) => trouble.what(),
            Self::Unhealthy { name, problem, .. } => format!("build {name} is unhealthy: {problem}"),
            Self::RolledBack(source) => format!("taken back: {}", source.what()),
            Self::Interrupted { signal, .. } => format!("interrupted by {signal}"),
            Self::Doctor { problems: 1, .. } => "1 problem".into(),
            Self::Doctor { problems, .. } => format!("{problems} problems"),
        }
    }

    /// Why it failed.
    pub fn cause(&self) -> String {
        match self {
            Self::Name(bad) if bad.given.parse::<BuildRef>().is_ok() => {
                "this command takes the name itself, not what it is used as".into()
            }
            Self::Name(_) => "a build is named by one to six letters a to z, or as live or stage".into(),
            Self::Tag(_) => {
                "a tag has up to 100 letters, digits and . _ + - /, and starts with a letter or digit".into()
            }
            Self::NotAPort(_) => "a build's port is site.base_port plus ten times its number".into(),
            Self::NoConfig(_) => "every site is described by one".into(),
            Self::NoSuchConfig(_) => "--config names it".into(),
            Self::NotText(_) => "it is a directory, or not written in UTF-8".into(),
            Self::Config(error) => error.cause(),
            Self::Absent { .. } => "there is no such file or directory".into(),
            Self::Refused(refusal) => refusal.cause(),
            Self::Migrations(stop) => stop.cause(),
            Self::BadLink { fault, .. } => fault.cause(),
            Self::Locked(held) => held.cause(),
            Self::Io { source, .. } => source.to_string(),
            Self::Command(error) => error.cause(),
            Self::Step { source, .. } | Self::Deploy { source, .. } => join(&source.what(), &source.cause()),
            Self::Unmet { cause, .. } => cause.clone(),
            Self::Serve(trouble) => trouble.cause(),
            Self::Unhealthy { evidence, .. } => evidence.clone(),
            Self::RolledBack(source) => source.cause(),
            Self::Interrupted { during: Some(during), .. } => join(&during.what(), &during.cause()),
            Self::Interrupted { .. } => "the command was asked to end before it was done".into(),
            Self::Doctor { text, .. } => text.clone(),
        }
    }

    /// What to type next.
    pub fn next(&self) -> String {
        match self {
            Self::Name(_) => "builds list shows the builds, builds find-free the next free name".into(),
            Self::Tag(_) => "builds create NAME --tag v1.2".into(),
            Self::NotAPort(_) => "builds status shows names and ports".into(),
            Self::NoConfig(_) => {
                "builds init writes one for the project in this directory; or give --config FILE".into()
            }
            Self::NotText(file) => format!("file {} tells what it is; write it again as UTF-8", file.display()),
            Self::NoSuchConfig(_) => {
                "give the path of a builds.toml, or go to its directory and leave --config out".into()
            }
            Self::Config(error) => error.next(),
            Self::Absent { .. } => "write the path of one that exists, or make it".into(),
            Self::Refused(refusal) => refusal.next(),
            Self::Migrations(stop) => stop.next(),
            Self::BadLink { link, fault } => fault.next(link),
            Self::Locked(_) => "try again when it has ended; --wait SECONDS waits longer".into(),
            Self::Io { path, source, .. } => advice(path, source),
            Self::Command(error) => error.next(),
            Self::Step { name, source, .. } => format!("{}; then {}", source.next(), continue_or_remove(*name)),
            Self::Deploy { source, .. } if source.ends_deploy() => source.next(),
            Self::Deploy { fate: Fate::Kept | Fate::Live, source, .. } => {
                format!("{}; then {GO_ON}", own(source).next())
            }
            Self::Deploy { fate: Fate::SetAside, name, source, .. } => {
                format!(
                    "{}; live is as it was, and build {name} is kept, bad and stopped, for a look at it",
                    own(source).next()
                )
            }
            Self::Unmet { next, .. } => next.clone(),
            Self::Serve(trouble) => trouble.next(),
            Self::Unhealthy { next, .. } => next.clone(),
            Self::RolledBack(source) => source.next(),
            Self::Interrupted { during, .. } => match during.as_deref() {
                Some(Self::Step { name, .. }) => continue_or_remove(*name),
                Some(Self::Deploy { .. }) => GO_ON.into(),
                _ => "the same command again goes on where this one stopped".into(),
            },
            Self::Doctor { .. } => "mend them and run builds doctor again".into(),
        }
    }
}

/// What to do with a deploy that was cut short.
const GO_ON: &str = "builds deploy --resume goes on, builds deploy --abort takes it back";

/// The error of a step itself, without what would be advised were it no deploy's.
fn own(error: &Error) -> &Error {
    if let Error::Step { source, .. } = error { source } else { error }
}

fn continue_or_remove(name: BuildName) -> String {
    format!("builds create {name} continues, or builds rm {name} removes it")
}

/// Two texts as one: `what: cause`, what a program said below what failed, or either alone.
fn join(what: &str, cause: &str) -> String {
    let between = if cause.contains('\n') { ":\n" } else { ": " };
    if cause.is_empty() { what.to_owned() } else { format!("{what}{between}{cause}") }
}

/// What helps against the common reasons of a failed file operation.
fn advice(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("namei -l {path} shows who may: run builds as that user; builds doctor tells what root has left")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "df -h and df -i show what is full; builds rm removes a build that is no longer needed".into()
        }
        io::ErrorKind::ReadOnlyFilesystem => format!("findmnt -T {path} shows the file system; mount it writable"),
        _ => "builds doctor looks for what is wrong with the site".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::layout::Role;

    #[test]
    fn who_may_not_is_shown_the_directories_too() {
        let error = Error::io("make the directory", Path::new("/srv/f"))(io::ErrorKind::PermissionDenied.into());
        assert!(error.next().starts_with("namei -l /srv/f "), "{}", error.next());
    }

    #[test]
    fn a_deploy_is_told_once_how_it_may_end() {
        let stopped = |refusal: Refusal| Error::Deploy {
            step: "swap",
            name: BuildName::FIRST,
            fate: Fate::Kept,
            source: Box::new(refusal.into()),
        };
        let overtaken = stopped(Refusal::Overtaken { name: BuildName::FIRST, live: None }).next();
        assert_eq!(overtaken.matches("--abort").count(), 1, "{overtaken}");
        let refused = stopped(Refusal::NoHolder(Role::Stage)).next();
        assert!(refused.contains(GO_ON), "{refused}");
    }
}
