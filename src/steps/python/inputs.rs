//! All that decides which packages a virtual environment gets.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use super::venv::Venv;
use crate::error::{Error, Result};
use crate::model::digest::{Digest, Inputs};
use crate::model::requirements::Requirements;
use crate::site::Site;

/// How uv installs. `--exact` removes what was taken from an earlier build and is not required any more, and `--upgrade` keeps
/// no version only because it was taken. `clone` shares blocks, or links where the file system cannot.
pub const UV: [&str; 9] =
    ["pip", "install", "--exact", "--upgrade", "--offline", "--no-config", "--no-progress", "--link-mode", "clone"];

/// What goes before the name of a file in the wheelhouse, which could be that of a requirement file.
const WHEEL: &str = "wheel ";

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
        inputs.add(format!("{WHEEL}{}", entry.file_name().to_string_lossy()), digest);
    }
    Ok(inputs)
}

/// Whether packages that other inputs made can become those of these: the same Python and tools made them, and of no release
/// is there another file than before. uv takes what has the right name and version for the right thing.
pub fn serves(wanted: &Inputs, made: &Inputs) -> bool {
    let releases = |inputs: &Inputs| inputs.names().filter_map(wheel).filter_map(release).collect::<BTreeSet<_>>();
    let (here, there) = (releases(wanted), releases(made));
    let in_one = |file| release(file).is_some_and(|release| here.contains(&release) != there.contains(&release));
    wanted.agree(made, &["builds", "Python", "uv", "command"])
        && wanted.differing(made).into_iter().filter_map(wheel).all(in_one)
}

/// The file of the wheelhouse that an input is.
fn wheel(name: &str) -> Option<&str> {
    name.strip_prefix(WHEEL)
}

/// Name and version of a wheel, written in one way. Source: the binary distribution format, "File name convention".
fn release(file: &str) -> Option<(String, String)> {
    let mut parts = file.strip_suffix(".whl")?.split('-');
    let (name, version) = (parts.next()?.to_lowercase().replace('.', "_"), parts.next()?);
    Some((name, version.trim_end_matches(".0").to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(wheels: &[(&str, &str)]) -> Inputs {
        let mut inputs = Inputs::default();
        wheels.iter().for_each(|(file, digest)| inputs.add(format!("{WHEEL}{file}"), digest));
        inputs
    }

    #[test]
    fn packages_of_another_file_of_the_same_release_do_not_serve() {
        let made = inputs(&[("six-1.0-py3-none-any.whl", "x"), ("idna-3-py3-none-any.whl", "y")]);
        let cases: [(&[(&str, &str)], bool); 8] = [
            (&[("six-1.0-py3-none-any.whl", "x"), ("idna-3-py3-none-any.whl", "y")], true),
            (&[("six-1.0-py3-none-any.whl", "x")], true),
            (&[("six-1.0-py3-none-any.whl", "x"), ("six-2.0-py3-none-any.whl", "z")], true),
            (&[("six-1.0-py3-none-any.whl", "z")], false),
            (&[("six-1.0-py3-none-any.whl", "x"), ("six-1.0-1-py3-none-any.whl", "z")], false),
            (&[("Six-1-cp311-cp311-linux_x86_64.whl", "x")], false),
            (&[("six-1.0.tar.gz", "x")], false),
            (&[], true),
        ];
        for (wheels, expected) in cases {
            assert_eq!(serves(&inputs(wheels), &made), expected, "{wheels:?}");
        }
        let mut other = made.clone();
        other.add("Python", "3.12");
        assert!(!serves(&other, &made));
    }
}
