//! What `package.json` and npm's lock files tell about `node_modules`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::manifest::Package;

/// The scripts of its own that npm runs when a project's packages are installed. They may do anything anywhere.
const OWN_SCRIPTS: [&str; 7] =
    ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

/// Whether installed packages are the same wherever they are installed from the same files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// They are, and only npm has written them.
    Sealed,
    /// They are until their own scripts have run, which may read the source and write anywhere.
    Scripts,
    /// They are not, and why.
    Never(String),
}

#[derive(Deserialize)]
struct Project {
    #[serde(default)]
    scripts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locked {
    version: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    in_bundle: bool,
    #[serde(default)]
    has_install_script: bool,
    /// The systems that it is for, or those that it is not for, with a `!`; all where there is none.
    #[serde(default)]
    os: Vec<String>,
}

impl Locked {
    /// Whether npm leaves it out here.
    fn is_for_others(&self) -> bool {
        self.os.iter().any(|os| !os.starts_with('!')) && !self.os.iter().any(|os| os == "linux" || os == "any")
    }
}

/// Whether `npm ci` makes the same of these two files every time. `lock` is `package-lock.json`, where there is one.
pub fn reuse(project: &str, lock: Option<&str>) -> Reuse {
    let Some(lock) = lock else { return Reuse::Never("there is no package-lock.json".into()) };
    let (Ok(project), Ok(lock)) = (serde_json::from_str::<Project>(project), serde_json::from_str::<Lock>(lock)) else {
        return Reuse::Never("package.json or package-lock.json cannot be read".into());
    };
    if let Some(script) = OWN_SCRIPTS.iter().find(|&&script| project.scripts.contains_key(script)) {
        return Reuse::Never(format!("package.json has a script {script}"));
    }
    let installed = lock.packages.iter().filter(|(path, _)| !path.is_empty());
    if installed.clone().count() == 0 {
        return Reuse::Never("package-lock.json lists no packages, or is of npm 6".into());
    }
    // What is no archive from a registry may change while the lock stays the same: links, directories, repositories.
    if let Some((path, _)) = installed.clone().find(|(_, package)| package.integrity.is_none() && !package.in_bundle) {
        return Reuse::Never(format!("{path} is no package of a registry"));
    }
    match installed.clone().any(|(_, package)| package.has_install_script && !package.is_for_others()) {
        true => Reuse::Scripts,
        false => Reuse::Sealed,
    }
}

/// The packages that a lock file lists, such as `node_modules/.package-lock.json`, which lists those that are there.
pub fn packages(lock: &str) -> Vec<Package> {
    let lock = serde_json::from_str::<Lock>(lock).map(|lock| lock.packages).unwrap_or_default();
    let named = lock.into_iter().filter_map(|(path, package)| {
        let (_, name) = path.rsplit_once("node_modules/")?;
        Some(Package { name: name.to_owned(), version: package.version? })
    });
    let mut packages: Vec<Package> = named.collect();
    packages.sort();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(package: &str) -> String {
        format!(r#"{{"packages": {{"": {{"name": "shop"}}, "node_modules/a/node_modules/@x/b": {package}}}}}"#)
    }

    #[test]
    fn what_a_registry_has_is_the_same_every_time() {
        let plain = lock(r#"{"version": "1.0.0", "integrity": "sha512-x"}"#);
        assert_eq!(reuse("{}", Some(&plain)), Reuse::Sealed);
        assert_eq!(reuse(r#"{"scripts": {"build": "vite"}}"#, Some(&plain)), Reuse::Sealed);
        let systems = [
            ("", Reuse::Scripts),
            (r#", "os": ["darwin"]"#, Reuse::Sealed),
            (r#", "os": ["darwin", "linux"]"#, Reuse::Scripts),
            (r#", "os": ["!win32"]"#, Reuse::Scripts),
        ];
        for (os, expected) in systems {
            let scripts = lock(&format!(r#"{{"integrity": "sha512-x", "hasInstallScript": true{os}}}"#));
            assert_eq!(reuse("{}", Some(&scripts)), expected, "{os}");
        }
        assert_eq!(packages(&plain), [Package { name: "@x/b".into(), version: "1.0.0".into() }]);
    }

    #[test]
    fn anything_else_is_not() {
        let why = |project: &str, lock: Option<&str>| match reuse(project, lock) {
            Reuse::Never(why) => why,
            other => panic!("{other:?}"),
        };
        let plain = lock(r#"{"version": "1.0.0", "integrity": "sha512-x"}"#);
        assert_eq!(why("{}", None), "there is no package-lock.json");
        assert_eq!(why(r#"{"scripts": {"prepare": "x"}}"#, Some(&plain)), "package.json has a script prepare");
        assert_eq!(why("{}", Some(r#"{"lockfileVersion": 1, "dependencies": {}}"#)).split(',').count(), 2);
        for odd in [r#"{"link": true, "resolved": "packages/b"}"#, r#"{"resolved": "git+ssh://x/y.git#0"}"#] {
            let odd = lock(odd);
            assert_eq!(why("{}", Some(&odd)), "node_modules/a/node_modules/@x/b is no package of a registry");
        }
    }
}
