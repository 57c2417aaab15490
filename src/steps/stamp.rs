//! A fresh one-commit repository, for sites that tell their static files' age by git.

use std::path::Path;

use super::{Making, Note};
use crate::error::Result;
use crate::system::git;

pub fn run(making: &Making, _: &Path) -> Result<Note> {
    if !making.site.config.site.git_stamp {
        return Ok(None);
    }
    let tag = making.manifest().tag.clone();
    git::stamp(making.paths.dir(), tag.as_str())?;
    Ok(Some("one commit".into()))
}
