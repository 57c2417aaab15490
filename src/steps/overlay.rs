//! The overlay: files of this host, such as settings, on top of the source.

use std::path::Path;

use super::places::{refuse_own_names, refuse_ways_out};
use super::{Making, Note};
use crate::error::{Error, Result};
use crate::model::words::count;
use crate::site::Site;
use crate::system::tree::{self, Excludes, Selection};

pub fn run(making: &Making, _: &Path) -> Result<Note> {
    let Some(overlay) = &making.site.config.site.overlay else {
        return Ok(None);
    };
    let selection = select(making.site, overlay)?;
    refuse_own_names(&selection, "overlay")?;
    let copied = making.copy("overlay", overlay, &selection)?;
    refuse_ways_out(making)?;
    Ok(Some(count(copied.files, "file")))
}

/// All files of the overlay.
///
/// # Errors
/// It is missing or cannot be read.
pub fn select(site: &Site, overlay: &Path) -> Result<Selection> {
    if !overlay.is_dir() {
        return Err(Error::Absent { place: site.config.place("site.overlay"), path: overlay.to_owned() });
    }
    let never = [site.layout.root().to_owned(), site.file.clone()];
    Ok(tree::everything(overlay, &Excludes::default(), &never)?)
}
