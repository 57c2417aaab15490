//! Links from the build to where its static files and everybody's media lie.

use std::path::Path;

use super::{Making, Note};
use crate::error::Result;
use crate::system::files;

pub fn run(making: &Making, _: &Path) -> Result<Note> {
    let (layout, name) = (&making.site.layout, making.name);
    for directory in [layout.static_of(name), layout.media(), making.paths.assets()] {
        files::directory(&directory)?;
    }
    let up = Path::new("../../../assets");
    files::link(&up.join("static").join(name.to_string()), &making.paths.assets().join("static"))?;
    files::link(&up.join("media"), &making.paths.assets().join("media"))?;
    Ok(Some("static files, media".into()))
}
