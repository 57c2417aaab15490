//! Where everything of a site lies below its root.

use std::path::{Path, PathBuf};

use super::name::BuildName;
use super::slot::{Slot, SlotPaths};

/// The begin of the name of a build that is being deleted; its own name follows.
pub const DOOMED: &str = ".removing-";

/// The places of one site. Every path that the tool uses is made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// The places inside one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildPaths {
    dir: PathBuf,
}

/// The two names that requests follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What users get: `_live`.
    Live,
    /// What is looked at before it goes live: `_stage`.
    Stage,
}

impl Role {
    /// The link's own name in `builds/`.
    pub fn link_name(self) -> &'static str {
        match self {
            Self::Live => "_live",
            Self::Stage => "_stage",
        }
    }

    /// The file in a build that makes it nginx's upstream for this role.
    pub fn upstream_name(self) -> &'static str {
        match self {
            Self::Live => "live.conf",
            Self::Stage => "stage.conf",
        }
    }
}

impl Layout {
    /// The layout of the site at `root`, an absolute path.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The site root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of all builds and of the two links.
    pub fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    /// One build's places.
    pub fn build(&self, name: BuildName) -> BuildPaths {
        BuildPaths { dir: self.builds().join(name.to_string()) }
    }

    /// Where the source is copied whose packages are fetched, as a build has it.
    pub fn fetching(&self) -> BuildPaths {
        BuildPaths { dir: self.root.join("deps/.source") }
    }

    /// A build that is being deleted: out of sight of the emperor, nginx and `find-free`.
    pub fn doomed(&self, name: BuildName) -> PathBuf {
        self.builds().join(format!("{DOOMED}{name}"))
    }

    /// The link `_live` or `_stage`.
    pub fn link(&self, role: Role) -> PathBuf {
        self.builds().join(role.link_name())
    }

    /// What was changed, one line each.
    pub fn history(&self) -> PathBuf {
        self.root.join("history.jsonl")
    }

    /// What was changed before that.
    pub fn older_history(&self) -> PathBuf {
        self.root.join("history.1.jsonl")
    }

    /// While it is there, nobody moves the names but back.
    pub fn freeze(&self) -> PathBuf {
        self.root.join("freeze.json")
    }

    /// Static files and media.
    pub fn assets(&self) -> PathBuf {
        self.root.join("assets")
    }

    /// All builds' static files, one folder a build.
    pub fn statics(&self) -> PathBuf {
        self.assets().join("static")
    }

    /// One build's static files.
    pub fn static_of(&self, name: BuildName) -> PathBuf {
        self.statics().join(name.to_string())
    }

    /// The static files of removed builds, which nginx serves where a build of the same name has none.
    pub fn removed_statics(&self) -> PathBuf {
        self.assets().join("removed/static")
    }

    /// User uploads, shared by all builds.
    pub fn media(&self) -> PathBuf {
        self.assets().join("media")
    }

    /// Live is in maintenance while this file is there. nginx, whoever's it is, reaches this directory for static files.
    pub fn maintenance(&self) -> PathBuf {
        self.assets().join(format!("{}.maintenance", Role::Live.link_name()))
    }

    /// Python packages as wheels.
    pub fn wheelhouse(&self) -> PathBuf {
        self.root.join("deps/wheelhouse")
    }

    /// npm packages, as npm's own cache keeps them.
    pub fn npm_store(&self) -> PathBuf {
        self.root.join("deps/npm")
    }

    /// The virtual environment that holds the installers, pip and uv.
    pub fn tools(&self) -> PathBuf {
        self.root.join("deps/tools")
    }

    /// Installed packages and static files that builds share.
    pub fn store(&self) -> PathBuf {
        self.root.join("deps/store")
    }

    /// The site's skeletons and nginx configuration.
    pub fn conf(&self) -> PathBuf {
        self.root.join("conf")
    }

    /// The emperors' sockets, pid files and locks.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The plan of the deploy that is under way, or was cut short.
    pub fn deploy(&self) -> PathBuf {
        self.root.join("deploy.json")
    }

    /// Logs of builds and of create's steps.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The output of the programs that a step of a create ran.
    pub fn create_log(&self, name: BuildName, step: &str) -> PathBuf {
        self.logs().join(format!("{name}.create-{step}.log"))
    }

    /// The output of the commands of a gate, such as `before_stage`.
    pub fn gate_log(&self, name: BuildName, gate: &str) -> PathBuf {
        self.logs().join(format!("{name}.gate-{gate}.log"))
    }

    /// The output of all that migrates the site's databases.
    pub fn migrate_log(&self) -> PathBuf {
        self.logs().join("migrate.log")
    }

    /// What the webhook is still to be told.
    pub fn outbox(&self) -> PathBuf {
        self.run().join("outbox")
    }

    /// The output of the operator's commands for a hook, such as `before_swap`, where it is about a build, or about none.
    pub fn hook_log(&self, name: Option<BuildName>, hook: &str) -> PathBuf {
        let start = name.map_or_else(String::new, |name| format!("{name}."));
        self.logs().join(format!("{start}hook-{hook}.log"))
    }

    /// The output of the commands that fetch packages.
    pub fn wheels_log(&self) -> PathBuf {
        self.logs().join("wheels.log")
    }

    /// The requests of the whole site, as nginx writes them.
    pub fn requests_log(&self) -> PathBuf {
        self.logs().join("requests.json")
    }

    /// The requests that a build's workers have answered, as uWSGI writes them.
    pub fn access_log(&self, name: BuildName) -> PathBuf {
        self.logs().join(format!("{name}.access.log"))
    }

    /// What keepers of a pause print.
    pub fn pause_log(&self) -> PathBuf {
        self.logs().join("pause.log")
    }

    /// What a build's workers print: start-up, warnings, tracebacks.
    pub fn error_log(&self, name: BuildName) -> PathBuf {
        self.logs().join(format!("{name}.error.log"))
    }
}

impl BuildPaths {
    /// The build's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The emperor starts the vassal while this link is there.
    pub fn vassal_ini(&self) -> PathBuf {
        self.dir.join("vassal.ini")
    }

    /// The places of the workers in one of the two slots.
    pub fn slot(&self, slot: Slot) -> SlotPaths {
        SlotPaths::new(&self.dir, slot)
    }

    /// The emperor starts the canary while this link is there.
    pub fn canary_ini(&self) -> PathBuf {
        self.dir.join("canary.ini")
    }

    /// What the canary's skeleton reads: of which build, and how many.
    pub fn canary_of(&self) -> PathBuf {
        self.dir.join("run/canary-of.ini")
    }

    /// What the skeletons read of this build: port, workers, module.
    pub fn build_ini(&self) -> PathBuf {
        self.dir.join("build.ini")
    }

    /// The nginx upstream for the given role.
    pub fn upstream(&self, role: Role) -> PathBuf {
        self.dir.join(role.upstream_name())
    }

    /// The tag, for people and scripts.
    pub fn tag(&self) -> PathBuf {
        self.dir.join(".DEPLOY_TAG")
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.dir.join("build.json")
    }

    /// Sockets, fifos and the workers' environment.
    pub fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// One file a variable of the workers' environment.
    pub fn env_dir(&self) -> PathBuf {
        self.dir.join("run/env")
    }

    /// What git needs for an export of a commit.
    pub fn export(&self) -> PathBuf {
        self.dir.join("run/export")
    }

    /// What the last copy of the source took, so that a continued create can remove what has gone since.
    pub fn source_list(&self) -> PathBuf {
        self.dir.join("run/source.list")
    }

    /// What its create has made, every file.
    pub fn files_list(&self) -> PathBuf {
        self.dir.join("run/files.list")
    }

    /// Links to the site's static files and media.
    pub fn assets(&self) -> PathBuf {
        self.dir.join("assets")
    }

    /// The build's own Python.
    pub fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    /// Where the vassal tells how it is.
    pub fn vassal_stats(&self) -> PathBuf {
        self.dir.join("run/vassal.stats")
    }

    /// Where nginx comes in, in `socket` mode: a link to the socket of one of the two slots.
    pub fn web_socket(&self) -> PathBuf {
        self.dir.join("run/web.sock")
    }

    /// The link by which requests to the workers of a slot are held.
    pub fn hold(&self, slot: Slot) -> PathBuf {
        self.dir.join("run").join(slot.hold_name())
    }

    /// Until when requests are held, in seconds since 1970; there until all of them are answered.
    pub fn pause(&self) -> PathBuf {
        self.dir.join("run/pause")
    }

    /// The vassal's zerg server, to which zergs attach.
    pub fn zerg_socket(&self) -> PathBuf {
        self.dir.join("run/zerg.sock")
    }
}
