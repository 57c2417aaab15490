//! The configuration of a site, as an operator writes it in `builds.toml`.
//!
//! Each section is a struct whose `read` lists the keys, so a key is added or deleted in one place.
//! The doc comments of the public fields are the reference: meaning, unit, default.

mod document;
mod env;
mod error;
mod gates;
mod hooks;
mod keep;
mod kind;
mod kinds;
mod migrate;
mod nginx;
mod notify;
mod paths;
mod rule;
mod section;
mod site;
mod unknown;
mod uwsgi;
mod values;
mod warmup;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use gates::Gates;
pub use hooks::{Hook, Hooks};
pub use keep::Keep;
pub use migrate::Migrate;
pub use nginx::{Nginx, Upstream};
pub use notify::Notify;
pub use site::Site;
pub use uwsgi::Uwsgi;
pub use values::{ArgumentList, Listen};
pub use warmup::{Page, Warmup};
pub use watch::Watch;

use document::Document;
use kinds::{boolean, choice, commands, inside, list};
use section::Section;

/// Everything that `builds.toml` decides. An empty file gives every default.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `[site]`: what is deployed, and where to.
    pub site: Site,
    /// `[python]`: the virtual environment of a build.
    pub python: Python,
    /// `[node]`: the JavaScript packages of a build.
    pub node: Node,
    /// `[assets]`: how a build makes its static files.
    pub assets: Assets,
    /// `[init]`: what a new site runs once.
    pub init: Init,
    /// `[uwsgi]`: the application server of every build.
    pub uwsgi: Uwsgi,
    /// `[nginx]`: the proxy in front of the live and the staged build.
    pub nginx: Nginx,
    /// `[warmup]`: the requests that a build answers before users reach it.
    pub warmup: Warmup,
    /// `[gates]`: what a new build must pass before it is staged, and before it is live.
    pub gates: Gates,
    /// `[watch]`: how a build is looked at that went live.
    pub watch: Watch,
    /// `[keep]`: what stays of earlier builds.
    pub keep: Keep,
    /// `[migrate]`: what a deploy does about database migrations.
    pub migrate: Migrate,
    /// `[hooks]`: commands that are run when something changes.
    pub hooks: Hooks,
    /// `[notify]`: whom to tell of changes.
    pub notify: Notify,
    /// `[env]`: further environment variables for every command that runs in a build and for its
    /// workers. Any name of letters, digits and `_` but those that builds sets itself. The values
    /// may be secrets.
    pub env: BTreeMap<String, String>,
    /// The line of each key that the file gives.
    lines: BTreeMap<String, usize>,
}

/// The section `[python]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The Python that a build's virtual environment is made with: the name of a program, or a
    /// path, which starts at the directory of `builds.toml` unless it is absolute. Default:
    /// `"python3"`.
    pub interpreter: PathBuf,
    /// The requirements files to install, as paths inside the source. An empty list installs
    /// nothing. Default: `requirements.txt` if the source has one, which is `None` here.
    pub requirements: Option<Vec<PathBuf>>,
    /// What installs them: `"uv"` or `"pip"`. Default: `"uv"`.
    pub installer: Installer,
}

/// The program that installs a build's Python packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    /// uv, <https://docs.astral.sh/uv/>.
    Uv,
    /// The pip of the virtual environment.
    Pip,
}

impl Python {
    fn read(section: &mut Section) -> Self {
        let installers = [("uv", Installer::Uv), ("pip", Installer::Pip)];
        let requirements = list("a list of paths inside the source", inside());
        Python {
            interpreter: section.program("interpreter", r#""python3""#),
            requirements: section.option("requirements", r#"["requirements.txt"]"#, requirements),
            installer: section.take("installer", r#""uv""#, choice(&installers)),
        }
    }
}

/// The section `[node]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The directory of `package.json`, as a path inside the source. Default: `"."`.
    pub package_dir: PathBuf,
}

impl Node {
    fn read(section: &mut Section) -> Self {
        Node { package_dir: section.take("package_dir", r#"".""#, inside()) }
    }
}

/// The section `[assets]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// The commands that make the static files, each a list of a program and its arguments, run in
    /// the build in this order. An empty list runs none. Default: Django's `collectstatic` if the
    /// build has a `manage.py`, which is `None` here.
    pub commands: Option<Vec<ArgumentList>>,
    /// Whether a build may have the static files that the commands made for an earlier build of the
    /// same files, packages, commands and environment. Default: `false`.
    pub reuse: bool,
    /// The files and directories of the source that the commands read, for `reuse`. Default: all,
    /// which is `None` here.
    pub inputs: Option<Vec<PathBuf>>,
}

impl Assets {
    fn read(section: &mut Section) -> Self {
        let example = r#"[["python", "manage.py", "collectstatic", "--noinput"]]"#;
        let inputs = list("a list of paths inside the source", inside());
        Assets {
            commands: section.option("commands", example, commands()),
            reuse: section.take("reuse", "false", boolean()),
            inputs: section.option("inputs", r#"["static", "package.json"]"#, inputs),
        }
    }
}

/// The section `[init]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// The commands that `builds init` runs in the live build of a new site, each a list of a
    /// program and its arguments, in this order. Default: none.
    pub commands: Vec<ArgumentList>,
}

impl Init {
    fn read(section: &mut Section) -> Self {
        let example = r#"[["python", "manage.py", "migrate"]]"#;
        Init { commands: section.option("commands", example, commands()).unwrap_or_default() }
    }
}

/// Reads the text of a `builds.toml`. `file` is its absolute path: it names the file in errors and
/// anchors relative paths.
///
/// # Errors
/// The first problem in the order of the file. Text that is not TOML comes before all others, for
/// nothing can be said about the rest of it.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    let mut document = Document::parse(text, file)?;
    let mut config = Config {
        site: document.section("site", Site::read),
        python: document.section("python", Python::read),
        node: document.section("node", Node::read),
        assets: document.section("assets", Assets::read),
        init: document.section("init", Init::read),
        uwsgi: document.section("uwsgi", Uwsgi::read),
        nginx: document.section("nginx", Nginx::read),
        warmup: document.section("warmup", Warmup::read),
        gates: document.section("gates", Gates::read),
        watch: document.section("watch", Watch::read),
        keep: document.section("keep", Keep::read),
        migrate: document.section("migrate", Migrate::read),
        hooks: document.section("hooks", Hooks::read),
        notify: document.section("notify", Notify::read),
        env: document.section("env", env::read),
        lines: BTreeMap::new(),
    };
    config.lines = document.lines();
    config.site.check(&mut document);
    config.uwsgi.check(&mut document);
    config.nginx.check(&mut document);
    document.finish()?;
    Ok(config)
}

impl Config {
    /// Where the file gives a key, as in `builds.toml line 4: site.source`; where it does not, only the key.
    pub fn place(&self, key: &str) -> String {
        match self.lines.get(key) {
            Some(line) => format!("builds.toml line {line}: {key}"),
            None => format!("builds.toml: {key} is not given, and its default"),
        }
    }
}

/// Shows the names of `[env]` only, for its values may be secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("site", &self.site)
            .field("python", &self.python)
            .field("node", &self.node)
            .field("assets", &self.assets)
            .field("init", &self.init)
            .field("uwsgi", &self.uwsgi)
            .field("nginx", &self.nginx)
            .field("warmup", &self.warmup)
            .field("gates", &self.gates)
            .field("watch", &self.watch)
            .field("keep", &self.keep)
            .field("migrate", &self.migrate)
            .field("hooks", &self.hooks)
            .field("notify", &self.notify)
            .field("env", &self.env.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests;
