//! How errors of the layers below become those that an operator reads.

use std::path::Path;
use std::process::ExitCode;

use super::Error;
use crate::model::config::ConfigError;
use crate::model::name::BadName;
use crate::model::rules::Refusal;
use crate::model::tag::BadTag;
use crate::serve::Trouble;
use crate::system::git::{GitError, has_lfs};
use crate::system::lock::Held;
use crate::system::process::CommandError;
use crate::system::signals::Interrupted;
use crate::system::tree::TreeError;

/// Lets `?` turn an error of a layer below into one that an operator reads.
macro_rules! from {
    ($($variant:ident($source:ty) $wrap:expr;)*) => {
        $(impl From<$source> for Error {
            fn from(source: $source) -> Self {
                Self::$variant($wrap(source))
            }
        })*
    };
}

from! {
    Name(BadName) std::convert::identity;
    Tag(BadTag) std::convert::identity;
    Config(ConfigError) Box::new;
    Refused(Refusal) std::convert::identity;
    Locked(Held) std::convert::identity;
    Command(CommandError) std::convert::identity;
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Interrupted(interrupted) => interrupted.into(),
            trouble => Self::Serve(Box::new(trouble)),
        }
    }
}

impl From<Interrupted> for Error {
    fn from(Interrupted(signal): Interrupted) -> Self {
        Self::Interrupted { signal, during: None }
    }
}

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Self {
        Self::io(error.action, &error.path)(error.source)
    }
}

impl From<GitError> for Error {
    fn from(error: GitError) -> Self {
        let next = match &error {
            GitError::Tree(_) => "builds doctor".into(),
            GitError::Start(_) => "apt-get install git".into(),
            GitError::BadRevision(_) | GitError::UnknownRevision { .. } => "git log --oneline shows the commits".into(),
            GitError::Submodules { .. } => {
                "git checkout that commit, git submodule update --init --recursive, then create without --ref".into()
            }
            GitError::Pointers { source, revision, .. } => fetch_lfs(source, revision.as_deref()),
            GitError::NotCheckedOut { source, .. } => {
                format!("git -C {} submodule update --init --recursive", source.display())
            }
            GitError::Failed { .. } => "do what git says, then try again".into(),
        };
        match error {
            GitError::Tree(error) => error.into(),
            error => {
                Self::Unmet { problem: "the source cannot be read with git".into(), cause: error.to_string(), next }
            }
        }
    }
}

impl From<&Error> for ExitCode {
    fn from(error: &Error) -> Self {
        Self::from(error.code())
    }
}

/// What fetches the content of files of Git LFS.
fn fetch_lfs(source: &Path, revision: Option<&str>) -> String {
    let first = if has_lfs(source) { "" } else { "apt-get install git-lfs, then " };
    let git = format!("git -C {}", source.display());
    match revision {
        None => format!("{first}{git} lfs pull"),
        Some(revision) => format!(
            "{first}git lfs install and {git} lfs fetch origin {revision}; or check it out, {git} lfs pull, and create without --ref"
        ),
    }
}
