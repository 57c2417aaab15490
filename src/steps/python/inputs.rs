//! All that decides which packages a virtual environment gets.

use std::fs::{self, File};
use std::path::Path;

use super::venv::Venv;
use crate::error::{Error, Result};
use crate::model::digest::{Digest, Inputs};
use crate::model::requirements::Requirements;
use crate::site::Site;

/// How uv installs. `--exact` removes what was taken from an earlier build and is not required any more.
/// `clone` shares blocks, or links where the file system cannot.
pub const UV: [&str; 8] =
    ["pip", "install", "--exact", "--offline", "--no-config", "--no-progress", "--link-mode", "clone"];

/// The inputs of a build whose packages uv installs from these wheels.
pub fn of(site: &Site, venv: &Venv, requirements: &Requirements, wheels: Inputs) -> Inputs {
    let mut inputs = wheels;
    inputs.add("builds", env!("CARGO_PKG_VERSION"));
    inputs.add("Python", &venv.identity);
    inputs.add("uv", uv_version(site).unwrap_or_default());
    inputs.add("command", UV.join(" "));
    for (file, text) in &requirements.files {
        inputs.add(file.display().to_string(), Digest::of(text.as_bytes()));
    }
    inputs
}

/// The digests of all wheels.
///
/// # Errors
/// One cannot be read.
pub fn wheels(site: &Site) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    let wheelhouse = site.layout.wheelhouse();
    for entry in fs::read_dir(&wheelhouse).into_iter().flatten().flatten().filter(|entry| entry.path().is_file()) {
        let digest = File::open(entry.path()).and_then(Digest::read).map_err(Error::io("read", &entry.path()))?;
        inputs.add(entry.file_name().to_string_lossy(), digest);
    }
    Ok(inputs)
}

/// Whether packages that other inputs made can become those of these: the same Python and tools made them, and no wheel
/// has taken the name of another, which uv would not notice.
pub fn serves(wanted: &Inputs, made: &Inputs) -> bool {
    let other_wheel = |name: &&str| name.ends_with(".whl");
    wanted.agree(made, &["builds", "Python", "uv", "command"]) && !wanted.contradicting(made).iter().any(other_wheel)
}

/// The version of uv, as its installation beside pip tells.
fn uv_version(site: &Site) -> Option<String> {
    let mut pythons = fs::read_dir(site.layout.tools().join("lib")).ok()?.flatten();
    pythons.find_map(|python| version_in(&python.path().join("site-packages")))
}

fn version_in(packages: &Path) -> Option<String> {
    let mut names = fs::read_dir(packages).ok()?.flatten().map(|entry| entry.file_name());
    names.find_map(|name| Some(name.to_str()?.strip_prefix("uv-")?.strip_suffix(".dist-info")?.to_owned()))
}
