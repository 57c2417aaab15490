//! What tests of several areas need besides a site.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::site::{Site, wait_for};

/// A section of `builds.toml` that lets every create stop in its assets step, at a [`Gate`].
pub const GATE: &str = "\n[assets]\ncommands = [[\"sh\", \"-c\", \"echo $$ > ../../at-gate; exec cat ../../gate\"]]\n";

/// Where creates of a site with [`GATE`] stop until it is opened.
pub struct Gate<'a>(&'a Site);

impl<'a> Gate<'a> {
    pub fn new(site: &'a Site) -> Self {
        mkfifo(&site.root().join("gate"), Mode::S_IRWXU).unwrap();
        Self(site)
    }

    /// Starts a create and returns when it stands at the gate.
    pub fn create(&self, build: &str) -> Child {
        self.run(&["create", build])
    }

    /// Starts a command that creates, and returns when its create stands at the gate.
    pub fn run(&self, args: &[&str]) -> Child {
        let here = self.0.root().join("at-gate");
        drop(fs::remove_file(&here));
        let command = self.0.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a create at the gate", || fs::read(&here).is_ok_and(|pid| pid.ends_with(b"\n")));
        command
    }

    /// Lets the one at the gate pass, and everyone after it.
    pub fn open(self) {
        let (gate, free) = (self.0.root().join("gate"), self.0.root().join("free"));
        fs::write(&free, "").unwrap();
        let fifo = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        fs::rename(&free, &gate).unwrap();
        drop(fifo);
    }
}

/// Makes a directory a git repository with one commit of all that is there but the site's root.
pub fn repository(dir: &Path) {
    git(dir, &["init", "--quiet"]);
    fs::write(dir.join(".git/info/exclude"), "/deploy/\n").unwrap();
    commit(dir, "first");
}

/// Commits everything as it is, and returns the commit.
pub fn commit(dir: &Path, message: &str) -> String {
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message", message]);
    git(dir, &["rev-parse", "HEAD"])
}

/// Runs git as a developer does.
#[track_caller]
pub fn git(dir: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false"];
    shell(Command::new("git").current_dir(dir).args(who).args(args))
}

/// Runs a program that must succeed, and returns its standard output.
#[track_caller]
pub fn shell(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Everything below a directory but what is below `without`: each path with type, mode, time and content.
pub fn listing(dir: &Path, without: &[&str]) -> BTreeMap<PathBuf, String> {
    let walk = walkdir::WalkDir::new(dir).min_depth(1).into_iter();
    let wanted = |entry: &walkdir::DirEntry| !without.iter().any(|path| entry.path() == dir.join(path));
    walk.filter_entry(wanted)
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path().strip_prefix(dir).unwrap().to_owned(), seen(entry.path())))
        .collect()
}

/// What can be told about a file without its name.
fn seen(path: &Path) -> String {
    let data = fs::symlink_metadata(path).unwrap();
    let content = match data.file_type() {
        kind if kind.is_file() => format!("{:?}", String::from_utf8_lossy(&fs::read(path).unwrap())),
        kind if kind.is_symlink() => format!("-> {}", fs::read_link(path).unwrap().display()),
        _ => String::new(),
    };
    format!("{:o} {}.{:09} {content}", data.permissions().mode(), data.mtime(), data.mtime_nsec())
}

/// Gives a site a copy of a store, which it may then change.
pub fn own_store(site: &Site, store: &str) {
    let path = site.root().join("deps").join(store);
    let shared = fs::read_link(&path).unwrap();
    fs::remove_file(&path).unwrap();
    shell(Command::new("cp").arg("-a").arg(shared).arg(path));
}

/// A network of loopback alone, for as long as this lives.
pub struct Loopback(Child);

impl Loopback {
    /// `None` where this user may make no network.
    pub fn new() -> Option<Self> {
        let script = "ip link set lo up && echo up && exec cat";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().ok()?;
        let mut said = [0; 3];
        let up = keeper.stdout.as_mut()?.read_exact(&mut said);
        // Dropped on failure too, so that nothing is left behind.
        let network = Self(keeper);
        up.ok().filter(|()| &said == b"up\n").map(|()| network)
    }

    /// What goes before a command line that shall run in it.
    pub fn caller(&self) -> Vec<String> {
        let pid = self.0.id().to_string();
        ["nsenter", "--target", &pid, "--net", "--"].map(str::to_owned).to_vec()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
