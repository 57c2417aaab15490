//! A fresh one-commit repository, for sites that tell their static files' age by git.

use super::{Making, Note};
use crate::error::Result;
use crate::system::git;

pub fn run(making: &mut Making) -> Result<Note> {
    if !making.site.config.site.git_stamp {
        return Ok(None);
    }
    git::stamp(making.paths.dir(), making.manifest.tag.as_str())?;
    Ok(Some("one commit".into()))
}
