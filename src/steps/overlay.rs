//! The overlay: files of this host, such as settings, on top of the source.

use std::path::Path;

use super::{Making, Note};
use crate::error::{Error, Result};
use crate::site::Site;
use crate::system::tree::{self, Excludes, Selection};

pub fn run(making: &mut Making) -> Result<Note> {
    let Some(overlay) = &making.site.config.site.overlay else {
        return Ok(None);
    };
    let copied = tree::copy(overlay, &select(making.site, overlay)?, making.paths.dir(), &mut |_| {})?;
    making.changed |= copied.changed > 0;
    Ok(Some(format!("{} files, {} copied", copied.files, copied.changed)))
}

/// All files of the overlay.
///
/// # Errors
/// It is missing or cannot be read.
pub fn select(site: &Site, overlay: &Path) -> Result<Selection> {
    if !overlay.is_dir() {
        return Err(Error::Absent { place: site.config.place("site.overlay"), path: overlay.to_owned() });
    }
    Ok(tree::everything(overlay, &Excludes::default(), &[])?)
}
