//! What can be wrong with the two links.

use std::path::{Path, PathBuf};

use crate::model::name::BuildName;

/// What can be wrong with `_live` or `_stage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// A file or directory stands in its place.
    NotALink,
    /// It points to no build of this site.
    Foreign(PathBuf),
    /// Its build does not exist.
    Dangling(BuildName),
    /// Its build's create has not ended.
    Incomplete(BuildName),
    /// Both links name the same build.
    Same(BuildName),
}

impl LinkFault {
    /// Why it is wrong.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::NotALink => "a file or directory stands where the link should be".into(),
            Self::Foreign(target) => format!("it points to {:?}, which is no build of this site", target.display()),
            Self::Dangling(name) => format!("it points to {name}, which does not exist"),
            Self::Incomplete(name) => format!("it points to {name}, whose build.json does not say that it is complete"),
            Self::Same(name) => format!("_live and _stage both point to {name}"),
        }
    }

    /// What to type.
    pub(super) fn next(&self, link: &Path) -> String {
        let link = link.display();
        match self {
            Self::NotALink => format!("move {link} away, then ln -s NAME {link} with the name of a build"),
            _ => format!("builds list, then ln -sfn NAME {link} with the name of a complete build"),
        }
    }
}
