//! What uWSGI, nginx and people read of a build.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Making, Note};
use crate::error::{Error, Result};
use crate::model::layout::BuildPaths;
use crate::model::manifest::Manifest;
use crate::model::name::BuildName;
use crate::model::{environment, skeletons};
use crate::serve::conf;
use crate::site::Site;
use crate::system::files::{self, Mode};
use crate::system::process::Run;

pub fn run(making: &Making, _: &Path) -> Result<Note> {
    if let Ok(version) = Run::new("uwsgi").arg("--version").output() {
        // Packages with a uWSGI of their own say so later.
        let version = String::from_utf8_lossy(&version).trim().to_owned();
        making.manifest().uwsgi.get_or_insert(version);
    }
    let manifest = making.manifest().clone();
    write(making.site, &manifest)?;
    files::write(&making.paths.tag(), format!("{}\n", manifest.tag).as_bytes(), Mode::Public)?;
    Ok(Some("uWSGI, nginx, environment".into()))
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
    for entry in fs::read_dir(paths.env_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(|key| variables.contains_key(key)) {
            files::remove(&entry.path())?;
        }
    }
    for (key, value) in &variables {
        files::write_if_changed(&paths.env_dir().join(key), value.as_bytes(), Mode::Private)?;
    }
    Ok(())
}

/// What workers read when they start, as it was at a moment.
pub struct Settings {
    paths: BuildPaths,
    ini: Vec<u8>,
    env: Vec<(PathBuf, Vec<u8>)>,
}

impl Settings {
    /// Those of now.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(site: &Site, name: BuildName) -> Result<Self> {
        let paths = site.layout.build(name);
        let read = |path: &Path| fs::read(path).map_err(Error::io("read", path));
        let variables = fs::read_dir(paths.env_dir()).into_iter().flatten().flatten().map(|entry| entry.path());
        let env = variables.map(|path| Ok((path.clone(), read(&path)?))).collect::<Result<_>>()?;
        Ok(Self { ini: read(&paths.build_ini())?, paths, env })
    }

    /// Writes them back: workers that start from now on, be it in place of dead ones, are like those before.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn restore(&self) -> Result<()> {
        files::write_if_changed(&self.paths.build_ini(), &self.ini, Mode::Public)?;
        for entry in fs::read_dir(self.paths.env_dir()).into_iter().flatten().flatten() {
            if !self.env.iter().any(|(path, _)| *path == entry.path()) {
                files::remove(&entry.path())?;
            }
        }
        self.env.iter().try_for_each(|(path, value)| files::write_if_changed(path, value, Mode::Private).map(drop))
    }
}
