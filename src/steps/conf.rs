//! What uWSGI, nginx and people read of a build.

use super::{Making, Note};
use crate::error::Result;
use crate::model::manifest::Manifest;
use crate::model::{environment, skeletons};
use crate::serve::conf;
use crate::site::Site;
use crate::system::files::{self, Mode};

pub fn run(making: &mut Making) -> Result<Note> {
    write(making.site, &making.manifest)?;
    files::write(&making.paths.tag(), format!("{}\n", making.manifest.tag).as_bytes(), Mode::Public)?;
    Ok(None)
}

/// Writes what depends on `builds.toml`, for a create, and again before workers start: ports, workers, environment.
///
/// # Errors
/// A file cannot be written.
pub fn write(site: &Site, manifest: &Manifest) -> Result<()> {
    let (name, port) = (manifest.name, site.port(manifest.name)?);
    let paths = site.layout.build(name);
    let ini = skeletons::build_ini(&site.config, manifest, port);
    files::write_if_changed(&paths.build_ini(), ini.as_bytes(), Mode::Public)?;
    conf::write_upstreams(site, name, port.number())?;
    files::private_directory(&paths.run(), 0o750)?;
    files::private_directory(&paths.env_dir(), 0o700)?;
    let variables = environment::variables(&site.config, &site.layout, name, &manifest.tag);
    for entry in std::fs::read_dir(paths.env_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(|key| variables.contains_key(key)) {
            files::remove(&entry.path())?;
        }
    }
    for (key, value) in &variables {
        files::write_if_changed(&paths.env_dir().join(key), value.as_bytes(), Mode::Private)?;
    }
    Ok(())
}
