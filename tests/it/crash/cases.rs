//! The changing commands, and how a site gets back to where each of them starts.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::helpers::shell;
use crate::look::processes_of;
use crate::site::{Said, Site, wait_for};

/// A command under test.
pub struct Case {
    pub args: &'static [&'static str],
    /// The file system's own fault all the while, for strace.
    pub under: Option<&'static str>,
    /// Brings the site to where the command starts, from wherever a try of it has left it.
    pub prepare: fn(&Site),
    /// What is special of that, for the table.
    pub from: &'static str,
    /// The states besides the first that a failure may leave the command's build in; "" for no such build.
    pub between: &'static [&'static str],
    /// What a run says for which nothing is left to do, where that is no success.
    pub over: Option<(i32, &'static str)>,
    /// What a failure may leave for the next run, by its name.
    pub marker: Option<&'static str>,
    /// Completes it after a kill or a failure.
    pub again: fn(&Site, &Case) -> Said,
}

pub const PLAIN: Case = Case {
    args: &[],
    under: None,
    from: "",
    prepare: stopped,
    between: &[],
    over: None,
    marker: None,
    again: |site, case| site.run(case.args),
};

/// As file systems have it that know no exchange.
pub const NO_EXCHANGE: Option<&str> = Some("inject=renameat2:error=EINVAL");

impl Case {
    pub fn title(&self) -> String {
        self.args.join(" ") + self.under.map_or("", |_| ", no exchange") + self.from
    }
}

/// On a site with live a, stage b, and a third build c.
pub const THREE: &[Case] = &[
    Case { args: &["activate", "c"], between: &["listening"], ..PLAIN },
    Case {
        args: &["activate", "c"],
        from: ", archived",
        prepare: archived,
        between: &["stopped", "listening"],
        ..PLAIN
    },
    Case { args: &["deactivate", "c"], prepare: ready, marker: Some("zerg.draining"), ..PLAIN },
    Case { args: &["stop", "c"], prepare: ready, between: &["listening"], marker: Some("zerg.draining"), ..PLAIN },
    Case { args: &["restart", "c"], prepare: first, marker: Some("zerg.draining"), ..PLAIN },
    Case { args: &["canary", "c"], ..PLAIN },
    Case { args: &["canary", "--off"], prepare: beside, marker: Some("canary.draining"), ..PLAIN },
    Case { args: &["stage", "c"], between: &["listening", "ready"], ..PLAIN },
    Case { args: &["swap-live", "b"], ..PLAIN },
    Case { args: &["swap-live", "c"], prepare: ready, ..PLAIN },
    Case { args: &["swap-live", "b"], under: NO_EXCHANGE, ..PLAIN },
    Case { args: &["swap-live", "c"], prepare: ready, under: NO_EXCHANGE, ..PLAIN },
    Case {
        args: &["rm", "c"],
        prepare: fresh,
        between: &[""],
        over: Some((2, "there is no build c")),
        marker: Some(".removing-c"),
        ..PLAIN
    },
    Case { args: &["prune", "--keep=0"], prepare: fresh, between: &[""], marker: Some(".removing-c"), ..PLAIN },
    Case { args: &["pause", "--max", "1"], prepare: flowing, ..PLAIN },
    Case { args: &["resume"], prepare: paused, ..PLAIN },
    Case { args: &["maintenance", "on"], prepare: open, ..PLAIN },
    Case { args: &["maintenance", "off"], prepare: closed, ..PLAIN },
    Case { args: &["archive", "c"], prepare: fresh, between: &["archived"], ..PLAIN },
    Case { args: &["archive", "c", "--basis", "b"], prepare: fresh, between: &["archived"], ..PLAIN },
    Case { args: &["rollback", "b"], prepare: left, ..PLAIN },
    Case { args: &["rollback", "c"], prepare: left_and_stopped, between: &["listening", "ready"], ..PLAIN },
    Case { args: &["mark", "c", "--bad", "slow"], prepare: good, ..PLAIN },
    Case { args: &["freeze", "for a moment"], prepare: thawed, ..PLAIN },
    Case { args: &["thaw"], prepare: frozen, ..PLAIN },
];

/// On a site where uWSGI and nginx run, and nothing else is needed.
pub const NONE: [Case; 2] = [
    Case { args: &["wheels"], prepare: |_| (), marker: Some(".source"), ..PLAIN },
    Case {
        args: &["create", "c"],
        prepare: absent,
        between: &["", "incomplete", "stopped"],
        over: Some((3, "build c exists")),
        ..PLAIN
    },
];

/// From nothing.
pub const INIT: [Case; 1] = [Case {
    args: &["init"],
    prepare: nothing,
    between: &["", "incomplete", "stopped", "listening", "ready"],
    ..PLAIN
}];

/// Keeps a copy of build c, so that later ones need no create.
pub fn keep(site: &Site) {
    site.ok(&["create", "c"]);
    site.ok(&["stop", "c"]);
    copy(&site.build("c"), &site.root().join("kept"));
}

fn stopped(site: &Site) {
    home(site);
    end(site, "c");
    if !site.build("c").exists() || site.status("c")["state"] != "stopped" {
        drop(fs::remove_dir_all(site.build("c")));
        copy(&site.root().join("kept"), &site.build("c"));
        site.write("deploy/assets/static/c/site.css", "");
    }
}

/// Requests to live are not held.
fn flowing(site: &Site) {
    home(site);
    site.ok(&["resume"]);
}

/// They are, for longer than it takes to be killed.
fn paused(site: &Site) {
    flowing(site);
    site.ok(&["pause", "--max", "5"]);
}

/// Visitors of live reach it.
fn open(site: &Site) {
    home(site);
    site.ok(&["maintenance", "off"]);
}

/// They are turned away.
fn closed(site: &Site) {
    site.ok(&["maintenance", "on"]);
}

/// As the create made it: what a worker writes in it is more to remove.
pub fn fresh(site: &Site) {
    home(site);
    remove(site, "c");
    stopped(site);
}

fn ready(site: &Site) {
    home(site);
    site.ok(&["activate", "c"]);
}

/// Archived as earlier versions did it: with names of files that live may write.
fn archived(site: &Site) {
    fresh(site);
    site.ok(&["archive", "c"]);
    for file in ["wsgi.py", "build.ini"] {
        fs::remove_file(site.build("c").join(file)).unwrap();
        fs::hard_link(site.build("a").join(file), site.build("c").join(file)).unwrap();
    }
}

/// Stopped, and the canary.
fn beside(site: &Site) {
    stopped(site);
    site.ok(&["canary", "c"]);
}

/// Ready, with workers in the first slot.
pub fn first(site: &Site) {
    fresh(site);
    site.ok(&["activate", "c"]);
}

/// Build b was live before a.
fn left(site: &Site) {
    home(site);
    site.ok(&["swap-live"]);
    site.ok(&["swap-live"]);
}

/// So was c, which is stopped since.
fn left_and_stopped(site: &Site) {
    ready(site);
    site.ok(&["swap-live", "c"]);
    site.ok(&["swap-live", "a"]);
    site.ok(&["stage", "b"]);
    site.ok(&["stop", "c"]);
}

fn good(site: &Site) {
    stopped(site);
    site.ok(&["mark", "c", "--good"]);
}

fn thawed(site: &Site) {
    site.ok(&["thaw"]);
    stopped(site);
}

fn frozen(site: &Site) {
    site.ok(&["freeze", "for a moment"]);
}

fn absent(site: &Site) {
    remove(site, "c");
}

fn nothing(site: &Site) {
    for link in ["_live", "_stage"] {
        drop(fs::remove_file(site.root().join("builds").join(link)));
    }
    for build in ["a", "b"] {
        remove(site, build);
    }
    // The one file of conf/ that nobody misses while init has not yet written it again.
    drop(fs::remove_file(site.root().join("conf/pages/welcome.html")));
    drop(fs::remove_file(site.root().join("run/nginx.loaded")));
}

pub fn home(site: &Site) {
    for args in [["swap-live", "a"], ["stage", "b"]] {
        if site.names() != ("a".into(), "b".into()) {
            site.ok(&args);
        }
    }
    // Later exchanges find them, and so make fewer calls.
    for turn in [".exchange", ".exchange-1", ".exchange-2"] {
        let path = site.root().join("builds").join(turn);
        drop(fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)));
    }
}

pub fn remove(site: &Site, build: &str) {
    end(site, build);
    drop(fs::remove_dir_all(site.build(build)));
    drop(fs::remove_dir_all(site.root().join("assets/static").join(build)));
    drop(fs::remove_dir_all(site.root().join("assets/removed")));
    // A create that finds one looks who writes to it, and so makes other calls.
    for log in fs::read_dir(site.root().join("logs")).into_iter().flatten().flatten() {
        if log.file_name().to_string_lossy().starts_with(&format!("{build}.create-")) {
            drop(fs::remove_file(log.path()));
        }
    }
}

/// Ends all of a build as no command would: at once, requests or not.
fn end(site: &Site, build: &str) {
    for (ini, emperor) in
        [("canary.ini", "zergs"), ("zerg.ini", "zergs"), ("zerg-2.ini", "zergs"), ("vassal.ini", "vassals")]
    {
        let id = site.build(build).join(ini);
        drop(fs::remove_file(&id));
        if let Some(master) = instance(site, emperor, &id) {
            let all = processes_of(site).into_iter().filter(|one| one.pid == master || one.parent == master);
            all.for_each(|one| _ = kill(Pid::from_raw(one.pid), Signal::SIGKILL));
        }
        wait_for("the end of an instance", || instance(site, emperor, &id).is_none());
    }
    for slot in ["canary", "zerg", "zerg-2"] {
        drop(fs::remove_file(site.build(build).join(format!("run/{slot}.draining"))));
    }
}

/// The process that an emperor runs for an ini. To ask the emperor is to wake it.
fn instance(site: &Site, emperor: &str, id: &Path) -> Option<i32> {
    let mut text = String::new();
    let mut stream = UnixStream::connect(site.root().join(format!("run/{emperor}.stats"))).unwrap();
    stream.read_to_string(&mut text).unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let all = said["vassals"].as_array().unwrap();
    all.iter().find(|one| Path::new(one["id"].as_str().unwrap()) == id)?["pid"].as_i64()?.try_into().ok()
}

fn copy(from: &Path, to: &Path) {
    shell(Command::new("cp").arg("-a").arg(from).arg(to));
}
