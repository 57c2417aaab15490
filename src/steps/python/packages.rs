//! What is installed in a virtual environment, as the packages themselves tell.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::venv::Venv;
use crate::error::{Error, Result};
use crate::model::manifest::Package;
use crate::system::files;

/// What packages install: mostly below `site-packages`.
pub struct Packages {
    /// Names and versions, in order.
    pub list: Vec<Package>,
    /// Files elsewhere, relative to the virtual environment: commands in `bin/`, manual pages in `share/`.
    pub others: Vec<PathBuf>,
}

impl Packages {
    /// Those of a virtual environment.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(venv: &Venv) -> Result<Self> {
        let mut found = Self { list: Vec::new(), others: Vec::new() };
        let below = venv.packages.strip_prefix(venv.directory).unwrap_or(&venv.packages);
        for entry in fs::read_dir(&venv.packages).map_err(Error::io("read", &venv.packages))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((name, version)) = name.strip_suffix(".dist-info").and_then(|name| name.rsplit_once('-')) else {
                continue;
            };
            found.list.push(Package { name: name.to_owned(), version: version.to_owned() });
            let record = files::read(&entry.path().join("RECORD"))?.unwrap_or_default();
            found.others.extend(record.lines().filter_map(|line| elsewhere(below, line)));
        }
        found.list.sort();
        found.others.sort();
        found.others.dedup();
        Ok(found)
    }
}

/// The file of a line of a `RECORD` that is not in `site-packages`, which is `below` the virtual environment.
fn elsewhere(below: &Path, line: &str) -> Option<PathBuf> {
    // A name with a comma is in quotes, and so of no command.
    let name = line.split(',').next()?;
    let mut place = below.to_owned();
    for component in Path::new(name).components() {
        match component {
            Component::ParentDir => place.pop().then_some(())?,
            Component::Normal(name) => place.push(name),
            _ => return None,
        }
    }
    (name.starts_with("..") && !place.starts_with(below) && !place.as_os_str().is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_name_files_elsewhere() {
        let below = Path::new("lib/python3.11/site-packages");
        let of = |line| elsewhere(below, line).map(|path| path.display().to_string());
        assert_eq!(of("../../../bin/django-admin,sha256=x,302").as_deref(), Some("bin/django-admin"));
        assert_eq!(of("../../../share/man/x.1,,").as_deref(), Some("share/man/x.1"));
        for line in
            ["django/x.py,,", "../../../../etc/passwd,,", "../../..,,", "/etc/passwd,,", "../site-packages/x,,", ""]
        {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
