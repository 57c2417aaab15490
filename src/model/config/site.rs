//! The section `[site]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::Document;
use super::error::Advice;
use super::kind::Kind;
use super::kinds::{boolean, int, list, only, seconds, text};
use super::paths::{MOST_ROOT_BYTES, root_fault};
use super::rule::Rule;
use super::section::Section;
use crate::model::pattern::{Excludes, Pattern};

const NAME_CHARACTERS: usize = 32;

/// The section `[site]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name of the site, 1 to 32 characters out of a-z, 0-9 and `-`. Default: the name of the
    /// directory of `builds.toml`, in lower case and with other characters turned into `-`.
    pub name: String,
    /// The site root, which builds fills and owns. An absolute path here; in the file, a relative
    /// one starts at the directory of `builds.toml`. Only letters, digits and `/ . _ + -`, for the
    /// path is written into the configuration of uWSGI and nginx; at most 74 bytes, for a socket's
    /// path holds no more. Default: `"deploy"`.
    pub root: PathBuf,
    /// The directory that is deployed. An absolute path here; in the file, a relative one starts at
    /// the directory of `builds.toml`. It lies outside the site root. Default: `"."`.
    pub source: PathBuf,
    /// A directory whose files are laid over the copy of the source. An absolute path here; in the
    /// file, a relative one starts at the directory of `builds.toml`. Default: none.
    pub overlay: Option<PathBuf>,
    /// Files and directories that are not copied, used when the source is no git work tree.
    /// Default: `[".git", ".hg", ".svn", "__pycache__", "*.pyc", "node_modules", ".venv", "venv"]`.
    pub exclude: Excludes,
    /// Whether each build gets a fresh git repository of one commit, for sites that tell the age of
    /// their static files by `git rev-parse HEAD`. Default: `false`.
    pub git_stamp: bool,
    /// The port of build a on loopback, 1024 to 65535. Every further build has a port 10 higher.
    /// Default: `2000`.
    pub base_port: u16,
    /// The host name that nginx serves and that warm-up requests ask for. Default: `"localhost"`.
    pub host: String,
    /// How long a program may take that `create`, `wheels` or `init` runs, in seconds, 1 to 3600. Default: `1800`.
    pub step_timeout: Duration,
}

impl Site {
    pub(super) fn read(section: &mut Section) -> Self {
        const EXCLUDE: &str = r#"[".git", ".hg", ".svn", "__pycache__", "*.pyc", "node_modules", ".venv", "venv"]"#;
        Site {
            name: section.option("name", r#""shop""#, name()).unwrap_or_else(|| default_name(section.dir())),
            root: section.path("root", r#""deploy""#),
            source: section.path("source", r#"".""#),
            overlay: section.optional_path("overlay", r#""overlay""#),
            exclude: Excludes(section.take("exclude", EXCLUDE, list("a list of patterns", pattern()))),
            git_stamp: section.take("git_stamp", "false", boolean()),
            base_port: section.take("base_port", "2000", int(1024..=65535)),
            host: section.take("host", r#""localhost""#, host()),
            step_timeout: section.take("step_timeout", "1800", seconds()),
        }
    }

    pub(super) fn check(&self, document: &mut Document) {
        if let Some(rule) = root_fault(&self.root)
            && let Some(key) = document.blame(&["site.root"])
        {
            let write = match rule {
                Rule::RootTooLong { .. } => {
                    format!("a shorter site.root of at most {MOST_ROOT_BYTES} bytes")
                }
                _ => "a path of letters, digits and / . _ + -".to_string(),
            };
            let example = format!(r#""/srv/{}-deploy""#, self.name);
            document.refuse(key, rule, Advice::new(write, key, &example));
        }
        if self.source.starts_with(&self.root)
            && let Some(key) = document.blame(&["site.source", "site.root"])
        {
            let advice = match key {
                "site.root" => Advice::new("a directory of its own", key, r#""deploy""#),
                _ => {
                    let beside = self.root.with_file_name("source");
                    let example = format!(r#""{}""#, beside.display());
                    Advice::new("a directory outside the site root", key, &example)
                }
            };
            let (root, source) = (self.root.clone(), self.source.clone());
            document.refuse(key, Rule::SourceInRoot { source, root }, advice);
        }
    }
}

fn default_name(dir: &Path) -> String {
    let dir = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = dir
        .chars()
        .map(|c| if is_name_character(c) { c } else { '-' })
        .skip_while(|&c| c == '-')
        .take(NAME_CHARACTERS)
        .collect();
    match name.trim_end_matches('-') {
        "" => "site".to_string(),
        name => name.to_string(),
    }
}

fn name() -> Kind<String> {
    text(&format!("1 to {NAME_CHARACTERS} characters out of a-z, 0-9 and -"))
        .and_then(|text| only(text, is_name_character, "a-z, 0-9 and -"))
        .and_then(|text| match text.len() {
            0..=NAME_CHARACTERS => Ok(text),
            length => Err(Rule::TooLong { length, most: NAME_CHARACTERS }),
        })
}

fn is_name_character(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-')
}

fn pattern() -> Kind<Pattern> {
    text("a pattern of file names").and_then(|text| text.parse().map_err(Rule::Pattern))
}

fn host() -> Kind<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    text("a host name").and_then(move |text| only(text, allowed, "letters, digits and . - : [ ] _"))
}
