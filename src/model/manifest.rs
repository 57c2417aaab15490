//! `build.json`: what a build contains, from where, since when, and how far its create came.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::digest::Digest;
use super::migrations::Record;
use super::name::BuildName;
use super::tag::Tag;

/// The last step of a create.
pub const LISTEN: &str = "listen";

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// A create began and has not ended: `create` of the same name continues.
    Creating,
    /// All steps are done.
    Complete,
    /// Complete and stopped, and may share files with its basis: it must not run again as it is.
    Archived,
}

/// Where a build's files came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The directory that was copied.
    pub path: String,
    /// The commit, where the source is a git work tree.
    pub commit: Option<String>,
    /// What `--ref` asked for.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// One finished step of a create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's name.
    pub name: String,
    /// Seconds from the begin of the create that did it.
    #[serde(default)]
    pub began: Option<f64>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Why a build is not to be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// Since when, in seconds since 1970.
    pub at: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// The manifest of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The build's name.
    pub name: BuildName,
    /// How far it is.
    pub state: Progress,
    /// The tag.
    pub tag: Tag,
    /// When the create began, in seconds since 1970.
    pub created: u64,
    /// When the create ended, in seconds since 1970.
    pub finished: Option<u64>,
    /// Where the files came from.
    pub source: Origin,
    /// The version of the build's Python, such as `3.11.2`.
    pub python: Option<String>,
    /// The version of the uWSGI that runs the build.
    #[serde(default)]
    pub uwsgi: Option<String>,
    /// The Python packages of the build.
    #[serde(default)]
    pub wheels: Vec<Package>,
    /// The npm packages of the build.
    #[serde(default)]
    pub npm: Vec<Package>,
    /// The digests of all that went into its Python packages, npm packages and static files.
    #[serde(default)]
    pub digests: BTreeMap<String, Digest>,
    /// The WSGI application, `module:callable`.
    #[serde(default, deserialize_with = "module")]
    pub module: Option<String>,
    /// Size of the build's directory in bytes, without its static files, when the create ended.
    pub bytes: Option<u64>,
    /// Size of its static files in bytes, when the create ended.
    pub static_bytes: Option<u64>,
    /// Seconds that the create took.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The bytes of the build and its static files that the create wrote.
    #[serde(default)]
    pub written: Option<u64>,
    /// Those that take no room of their own: they are other builds', too.
    #[serde(default)]
    pub shared: Option<u64>,
    /// The build that an archive shares unchanged files with, once it does.
    pub basis: Option<BuildName>,
    /// Set where the build must not get a name.
    #[serde(default)]
    pub bad: Option<Bad>,
    /// Its database migrations, once somebody has asked for them.
    #[serde(default)]
    pub migrations: Option<Record>,
    /// A digest of `builds.toml` when the create began: finished steps are not to be trusted after a change of it.
    #[serde(default)]
    pub inputs: u64,
    /// The finished steps, in order.
    pub steps: Vec<StepRecord>,
}

impl Manifest {
    /// The manifest of a create that begins at `now`, in seconds since 1970.
    pub fn begin(name: BuildName, now: u64, source: Origin) -> Self {
        Self {
            name,
            state: Progress::Creating,
            tag: Tag::untagged(),
            created: now,
            finished: None,
            source,
            python: None,
            uwsgi: None,
            wheels: Vec::new(),
            npm: Vec::new(),
            digests: BTreeMap::new(),
            module: None,
            bytes: None,
            static_bytes: None,
            seconds: None,
            written: None,
            shared: None,
            basis: None,
            bad: None,
            migrations: None,
            inputs: 0,
            steps: Vec::new(),
        }
    }

    /// Bytes of the build and its static files, when the create ended.
    pub fn size(&self) -> Option<u64> {
        Some(self.bytes?.saturating_add(self.static_bytes.unwrap_or(0)))
    }

    /// Whether the create has come to its end, which is the record of its last step.
    pub fn has_listened(&self) -> bool {
        self.steps.iter().any(|step| step.name == LISTEN)
    }
}

/// A module and its callable have a place in uWSGI's configuration, so what is neither makes no manifest.
fn module<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    let module = Option::<String>::deserialize(text)?;
    let plain = |letter: char| letter.is_alphanumeric() || "_.:".contains(letter);
    match module {
        Some(text) if !text.chars().all(plain) => Err(serde::de::Error::custom(format!("{text:?} is no module"))),
        module => Ok(module),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    const GOOD: &str = r#"{"name": "a", "state": "complete", "tag": "v1", "created": 5, "finished": 7, "source": {"path":
        "/src", "commit": "0f1e", "ref": null}, "python": "3.11.2", "module": "shop.wsgi:application", "bytes": 9,
        "static_bytes": 9, "seconds": 1.5, "written": 8, "shared": 10, "basis": "b", "bad": {"at": 8, "reason": "500"}, "inputs": 17, "steps": [{"name": "source", "began": 0.25, "seconds": 0.5}]}"#;

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(text in damaged(GOOD)) {
            if let Ok(mut manifest) = serde_json::from_str::<Manifest>(&text) {
                // Their seconds are rounded.
                manifest.steps.clear();
                manifest.seconds = None;
                let again = serde_json::from_str(&serde_json::to_string(&manifest).unwrap()).unwrap();
                prop_assert_eq!(&manifest, &again);
                let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || ";{}%$\"".contains(c));
                prop_assert!(plain(manifest.tag.as_str()) && plain(&manifest.module.unwrap_or_default()));
            }
        }
    }

    #[test]
    fn the_manifest_of_an_older_version_is_understood() {
        let text = r#"{"name": "a", "state": "complete", "tag": "v1", "created": 5, "source": {"path": "/src"},
            "steps": [{"name": "source", "seconds": 0.5}]}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!((manifest.state, manifest.created, manifest.inputs), (Progress::Complete, 5, 0));
    }

    #[test]
    fn a_module_that_would_be_syntax_makes_no_manifest() {
        assert!(serde_json::from_str::<Manifest>(GOOD).is_ok());
        for module in ["wsgi\\nexec-asap=id", "wsgi %d", "wsgi;", "$(x)"] {
            assert!(serde_json::from_str::<Manifest>(&GOOD.replace("shop.wsgi", module)).is_err(), "{module}");
        }
    }
}
