//! Links from the build to where its static files and everybody's media lie.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Making, Note};
use crate::error::{Error, Result};
use crate::system::files;

pub fn run(making: &mut Making) -> Result<Note> {
    let (layout, name) = (&making.site.layout, making.manifest.name);
    for directory in [layout.static_of(name), layout.media(), making.paths.assets()] {
        files::directory(&directory)?;
    }
    let up = Path::new("../../../assets");
    point(&making.paths.assets().join("static"), up.join("static").join(name.to_string()))?;
    point(&making.paths.assets().join("media"), up.join("media"))?;
    Ok(None)
}

fn point(link: &Path, target: PathBuf) -> Result<()> {
    if files::exists(link) && fs::read_link(link).is_err() {
        return Err(Error::Unmet {
            problem: format!("the source has {} of its own", link.display()),
            cause: "the name is needed for the link to the site's own files".into(),
            next: "move it to another place in the source".into(),
        });
    }
    files::link(&target, link)
}
