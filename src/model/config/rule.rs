//! The rules that a value of the right type may still break.

use std::fmt;
use std::path::PathBuf;

use super::paths::MOST_SOCKET_BYTES;
use super::values::Listen;
use crate::model::pattern::BadPattern;

/// A rule that a value breaks. It displays as the cause of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what the texts below show")]
pub enum Rule {
    /// A number is too small; `unit` names one of what it counts, or is empty.
    Below { least: u16, unit: &'static str },
    /// A number is too large.
    Above { most: u16, unit: &'static str },
    /// A string or a list has nothing in it.
    Empty,
    /// A string has too many characters.
    TooLong { length: usize, most: usize },
    /// A character must not stand here.
    Character { character: char, allowed: &'static str },
    /// A text is no pattern of file names.
    Pattern(BadPattern),
    /// A string is none of the known words.
    NoChoice,
    /// A path is relative.
    NotAbsolute,
    /// A program is a relative path.
    NotProgram,
    /// A path leads out of the source.
    NotInside,
    /// The path of a URL has no `/` in front.
    NoSlash,
    /// A page has no path.
    NoPath,
    /// A table has a key that nobody asks for.
    UnknownKey { key: String, known: &'static str },
    /// A text is no address of the web.
    NotUrl,
    /// A command has no program.
    NoProgram,
    /// A text is no address that nginx listens on.
    NotListen,
    /// A text is no `package.module:callable`.
    NotModule,
    /// builds gives this variable a value of its own.
    SetByBuilds,
    /// uWSGI keeps at least as many workers when idle as it starts.
    NotBelowWorkers { workers: u16 },
    /// One address serves two builds.
    SameListen { live: Listen, stage: Listen },
    /// The site root is relative, or the root of the file system.
    RootPlace { root: PathBuf },
    /// A character of the site root means something to uWSGI or nginx, or could.
    RootCharacter { root: PathBuf, character: char },
    /// Sockets below the site root would have paths of too many bytes.
    RootTooLong { root: PathBuf, over: usize },
    /// A copy of the source would copy itself.
    SourceInRoot { source: PathBuf, root: PathBuf },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Below { least, unit: "" } => write!(f, "the lowest possible is {least}"),
            Rule::Above { most, unit: "" } => write!(f, "the highest possible is {most}"),
            Rule::Below { least, unit } => {
                write!(f, "there must be at least {least} {unit}{}", plural(*least))
            }
            Rule::Above { most, unit } => {
                write!(f, "there must be at most {most} {unit}{}", plural(*most))
            }
            Rule::Empty => write!(f, "it is empty"),
            Rule::TooLong { length, most } => {
                write!(f, "it has {length} characters, but may have only {most}")
            }
            Rule::Character { character, allowed } => {
                write!(f, "it has {character:?}, but may have only {allowed}")
            }
            Rule::Pattern(bad) => bad.fmt(f),
            Rule::NoChoice => write!(f, "it is none of the known words"),
            Rule::NotAbsolute => write!(f, "it does not start with /"),
            Rule::NotProgram => write!(f, "it is neither a name nor an absolute path"),
            Rule::NotInside => write!(f, "it leads out of the source"),
            Rule::NoSlash => write!(f, "it does not start with /"),
            Rule::NoPath => write!(f, "it has no path"),
            Rule::UnknownKey { key, known } => write!(f, "it has {key:?}, but may have only {known}"),
            Rule::NotUrl => write!(f, "it starts with neither http:// nor https://"),
            Rule::NoProgram => write!(f, "it names no program"),
            Rule::NotListen => write!(f, "nginx cannot listen on it"),
            Rule::NotModule => write!(f, "it is not of the form package.module:callable"),
            Rule::SetByBuilds => {
                write!(f, "builds sets this variable itself, with a value of each build")
            }
            Rule::NotBelowWorkers { workers } => {
                write!(f, "workers is {workers}, and cheaper must be lower")
            }
            Rule::SameListen { live, stage } => write!(
                f,
                "live_listen is {live} and stage_listen is {stage}: one request \
                 could be meant for both"
            ),
            Rule::RootPlace { root } => {
                write!(f, "{} cannot be a site root", root.display())
            }
            Rule::RootCharacter { root, character } => {
                write!(f, "its full path is {}, and {character:?} may not stand in it", root.display())
            }
            Rule::RootTooLong { root, over } => write!(
                f,
                "its full path is {}, {over} {} too long: a uWSGI socket path holds at most \
                 {MOST_SOCKET_BYTES} bytes",
                root.display(),
                if *over == 1 { "byte" } else { "bytes" },
            ),
            Rule::SourceInRoot { source, root } => write!(
                f,
                "the source {} lies in the site root {}, which builds fills with copies of it",
                source.display(),
                root.display()
            ),
        }
    }
}

fn plural(number: u16) -> &'static str {
    if number == 1 { "" } else { "s" }
}
