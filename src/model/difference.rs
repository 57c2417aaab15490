//! What differs between two builds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::manifest::Package;

/// A package that only one of two builds has, or that they have in other versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// The versions that only the first build has. npm may install several.
    pub from: Vec<String>,
    /// Those that only the second one has.
    pub to: Vec<String>,
}

/// The packages that differ, by name.
pub fn packages(from: &[Package], to: &[Package]) -> Vec<Change> {
    let (from, to) = (versions(from), versions(to));
    let names: BTreeSet<&str> = from.keys().chain(to.keys()).copied().collect();
    let only = |one: &Versions, other: &Versions, name: &str| {
        let none = BTreeSet::new();
        let (one, other) = (one.get(name).unwrap_or(&none), other.get(name).unwrap_or(&none));
        one.difference(other).map(|&version| version.to_owned()).collect::<Vec<_>>()
    };
    let changes = names.into_iter().map(|name| Change {
        name: name.to_owned(),
        from: only(&from, &to, name),
        to: only(&to, &from, name),
    });
    changes.filter(|change| !(change.from.is_empty() && change.to.is_empty())).collect()
}

type Versions<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn versions(packages: &[Package]) -> Versions<'_> {
    let mut versions = Versions::new();
    for Package { name, version } in packages {
        versions.entry(name).or_default().insert(version);
    }
    versions
}

/// Whether a path of a build looks like settings of its own source: Python with `settings` in its name, or in a directory
/// of that name.
pub fn is_settings(path: &Path) -> bool {
    let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
    let Some((file, directories)) = names.split_last() else { return false };
    let foreign = directories.iter().any(|name| ["site-packages", "node_modules"].contains(name));
    let named =
        file.strip_suffix(".py").is_some_and(|stem| stem.contains("settings") || directories.contains(&"settings"));
    named && !foreign
}

impl Change {
    /// A line for people.
    pub fn line(&self) -> String {
        let Self { name, from, to } = self;
        match (from.is_empty(), to.is_empty()) {
            (true, _) => format!("+ {name} {}", to.join(", ")),
            (_, true) => format!("- {name} {}", from.join(", ")),
            _ => format!("~ {name} {} -> {}", from.join(", "), to.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(packages: &[(&str, &str)]) -> Vec<Package> {
        let package = |&(name, version): &(&str, &str)| Package { name: name.into(), version: version.into() };
        packages.iter().map(package).collect()
    }

    #[test]
    fn packages_come_go_and_change() {
        let from = of(&[("django", "5.2.1"), ("idna", "3"), ("gone", "1"), ("twice", "1"), ("twice", "2")]);
        let to = of(&[("idna", "3"), ("django", "5.2.2"), ("new", "0.1"), ("twice", "2"), ("twice", "3")]);
        let lines: Vec<String> = packages(&from, &to).iter().map(Change::line).collect();
        assert_eq!(lines, ["~ django 5.2.1 -> 5.2.2", "- gone 1", "+ new 0.1", "~ twice 1 -> 3"]);
        assert_eq!(packages(&from, &from), []);
    }

    #[test]
    fn settings_are_known_by_their_names() {
        for path in
            ["settings.py", "shop/local_settings.py", "shop/settings/base.py", "settings/a/b.py", "settings_x.py"]
        {
            assert!(is_settings(Path::new(path)), "{path}");
        }
        for path in [
            "",
            "settings",
            "settings.pyc",
            "settings/readme.txt",
            "lib/python3.11/site-packages/django/conf/global_settings.py",
            "node_modules/x/settings.py",
            "shop/views.py",
        ] {
            assert!(!is_settings(Path::new(path)), "{path}");
        }
    }
}
