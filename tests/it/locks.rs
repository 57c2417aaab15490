//! Two commands at once.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use crate::helpers::{GATE, Gate};
use crate::site::{Said, Site, wait_for};

/// Starts all commands before it waits for the first.
fn at_once(site: &Site, commands: &[Vec<&str>]) -> Vec<Said> {
    let start = |args: &Vec<&str>| site.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<Child> = commands.iter().map(start).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect()
}

#[test]
fn a_second_command_waits_and_says_for_what() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = gate.create("c");
    let heard = site.dir.join("heard");
    let mut activate =
        site.command(&["activate", "c"]).stdout(Stdio::null()).stderr(File::create(&heard).unwrap()).spawn().unwrap();
    let holder = format!("waiting for build c, held by process {} (builds create c) for ", create.id());
    wait_for("the second command's word", || fs::read_to_string(&heard).unwrap().contains(&holder));
    wait_for("all of it", || fs::read_to_string(&heard).unwrap().ends_with(" UTC; at most 60 s\n"));
    assert!(activate.try_wait().unwrap().is_none() && create.try_wait().unwrap().is_none());
    // Who only looks does not wait, nor does who works on another build.
    for args in [&["status", "--wait", "0"][..], &["list", "--wait", "0"], &["find-free", "--wait", "0"]] {
        site.ok(args);
    }
    assert_eq!(site.ok(&["find-free"]), "a\n");
    gate.open();
    assert!(create.wait().unwrap().success());
    assert!(activate.wait().unwrap().success(), "{}", fs::read_to_string(&heard).unwrap());
    assert_eq!(fs::read_to_string(&heard).unwrap().matches("waiting for").count(), 1, "said once");
    assert_eq!(site.status("c")["state"], "ready");
}

#[test]
fn without_patience_the_holder_is_named() {
    let site = Site::ready("plain", "");
    site.write("builds.toml", &(site.read("builds.toml") + GATE));
    let gate = Gate::new(&site);
    let mut create = gate.create("c");
    for args in
        [&["create", "c"][..], &["rm", "c"], &["activate", "c"], &["stop", "c"], &["archive", "c"], &["stage", "c"]]
    {
        let said = site.fails(4, &[&["--wait", "0"], args].concat());
        let held = format!("held by process {} (builds create c) for ", create.id());
        assert!(said.contains("build c is in use") && said.contains(&held), "{args:?}: {said}");
        assert!(said.contains("--wait SECONDS"), "{args:?}: {said}");
    }
    assert_eq!(site.json(&["--wait", "0", "rm", "c"])["error"]["code"], 4);
    gate.open();
    assert!(create.wait().unwrap().success());

    let names = hold(&site, "names.lock");
    let said = site.fails(4, &["--wait", "0", "swap-live"]);
    assert!(said.contains("the pair of names _live and _stage is in use"), "{said}");
    assert_eq!(site.names(), ("a".into(), "b".into()));
    drop(names);
    site.ok(&["--wait", "0", "swap-live"]);
}

/// Holds a lock as another command does, which has not said who it is.
pub fn hold(site: &Site, lock: &str) -> Flock<File> {
    let path = site.root().join("run").join(lock);
    let file = File::create(path).unwrap();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).unwrap()
}

#[test]
fn a_command_waits_as_long_as_it_may_and_then_exits_with_4() {
    let site = Site::ready("plain", "");
    let held = hold(&site, "names.lock");
    for (wait, told) in [("0", 0), ("1", 1)] {
        let said = site.fails(4, &["--wait", wait, "swap-live"]);
        // A busy machine may let it look later than it meant to.
        let waited: u64 = said.split_once("; waited ").unwrap().1.split_once(" s\n").unwrap().0.parse().unwrap();
        assert!(waited >= wait.parse().unwrap(), "{said}");
        assert!(said.contains(" s\n next: try again when it has ended; --wait SECONDS waits longer"), "{said}");
        assert_eq!(said.matches("at most 1 s").count(), told, "{said}");
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));

    // What the wait for one lock has taken is not there for the next.
    let build = hold(&site, "build-b.lock");
    let heard = site.dir.join("heard");
    let mut swap = site.command(&["--wait", "5", "swap-live"]);
    let mut swap = swap.stdout(Stdio::null()).stderr(File::create(&heard).unwrap()).spawn().unwrap();
    let said = |what: &str| fs::read_to_string(&heard).unwrap().contains(what);
    wait_for("the wait for the build", || said("waiting for build b, held by ") && said("; at most 5 s\n"));
    let began = Instant::now();
    wait_for("a second of its patience to be over", || began.elapsed() > Duration::from_secs(1));
    drop(build);
    wait_for("the wait for the names", || said("waiting for the pair of names _live and _stage, held by "));
    assert!(!said("the pair of names _live and _stage, held by another command; at most 5 s"));
    drop(held);
    assert!(swap.wait().unwrap().success());
}

#[test]
fn whoever_waits_goes_on_when_the_holder_is_killed() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = gate.create("c");
    let heard = site.dir.join("heard");
    let mut rm = site.command(&["rm", "c"]);
    let mut rm = rm.stdout(Stdio::null()).stderr(File::create(&heard).unwrap()).spawn().unwrap();
    wait_for("the wait", || fs::read_to_string(&heard).unwrap().contains("waiting for build c"));
    create.kill().unwrap();
    create.wait().unwrap();
    assert!(rm.wait().unwrap().success());
    assert!(!site.build("c").exists());
    assert!(site.root().join("run/build-c.lock").exists(), "it lies there, and locks nobody out");
}

/// A file system with a few pages, gone with this.
struct Tiny<'a>(&'a Path);

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

#[test]
fn a_holder_that_cannot_sign_for_want_of_room_holds_its_lock_all_the_same() {
    let mut site = Site::new("plain", GATE);
    let run = site.root().join("run");
    fs::create_dir_all(&run).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&run).output().unwrap();
    if !mount.status.success() {
        return eprintln!("skipped: only root may mount a file system");
    }
    let tiny = Tiny(&run);
    site.start();
    let full = File::create(run.join("full")).unwrap();
    while (&full).write_all(&[0]).is_ok() {}
    let gate = Gate::new(&site);
    let mut create = gate.create("c");
    assert_eq!(fs::read(run.join("build-c.lock")).unwrap(), b"", "there was room for a signature");
    let said = site.fails(4, &["--wait", "0", "rm", "c"]);
    assert!(said.contains("build c is in use\n  why: held by another command; waited 0 s"), "{said}");
    gate.open();
    assert!(create.wait().unwrap().success());
    site.ok(&["rm", "c"]);
    site.kill();
    drop(tiny);
}

#[test]
fn twenty_swaps_at_once_are_twenty_swaps() {
    let site = Site::ready("plain", "");
    // Who looks on meanwhile sees two names, too.
    let commands = [vec!["--json", "swap-live"], vec!["--json", "list"]];
    let said = at_once(&site, &commands.iter().cycle().take(40).cloned().collect::<Vec<_>>());
    assert!(said.iter().all(|said| said.code == 0), "{said:?}");
    let documents: Vec<Value> = said.iter().map(|said| serde_json::from_str(&said.out).unwrap()).collect();
    assert!(documents.iter().all(|said| said["live"] != said["stage"]), "{documents:?}");
    let (documents, _): (Vec<Value>, Vec<Value>) =
        documents.into_iter().partition(|said| said["command"] == "swap-live");
    assert!(documents.iter().all(|said| said["changed"] == true), "{documents:?}");
    let to_a = documents.iter().filter(|said| said["live"] == "a" && said["stage"] == "b").count();
    let to_b = documents.iter().filter(|said| said["live"] == "b" && said["stage"] == "a").count();
    assert_eq!((to_a, to_b), (10, 10));
    assert_eq!(site.names(), ("a".into(), "b".into()));
    assert!(site.live("/").1.contains(r#""build": "a""#));
}

#[test]
fn of_many_who_activate_a_build_one_does() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let said = at_once(&site, &vec![vec!["--json", "activate", "a"]; 5]);
    assert!(said.iter().all(|said| said.code == 0), "{said:?}");
    let documents: Vec<Value> = said.iter().map(|said| serde_json::from_str(&said.out).unwrap()).collect();
    assert_eq!(documents.iter().filter(|said| said["changed"] == true).count(), 1, "{documents:?}");
    assert!(documents.iter().all(|said| said["workers"] == documents[0]["workers"]), "{documents:?}");
    assert_eq!(site.status("a")["workers"], 2);
}

#[test]
fn creates_of_several_builds_run_side_by_side_and_of_one_build_in_turn() {
    let site = Site::up("plain", "");
    let said = at_once(&site, &["a", "b", "a", "c"].map(|name| vec!["create", name]));
    let codes: Vec<i32> = said.iter().map(|said| said.code).collect();
    assert!(codes == [0, 0, 3, 0] || codes == [3, 0, 0, 0], "{said:?}");
    let refused = said.iter().find(|said| said.code == 3).unwrap();
    assert!(refused.err.contains("build a exists"), "{refused:?}");
    for name in ["a", "b", "c"] {
        assert_eq!(site.status(name)["state"], "listening");
    }
}

#[test]
fn commands_that_contradict_each_other_leave_two_whole_names() {
    let site = Site::ready("plain", "");
    for name in ["c", "d"] {
        site.ok(&["create", name]);
        site.ok(&["activate", name]);
    }
    let commands =
        ["swap-live", "stage c", "rm c", "swap-live d", "stop b", "swap-live", "stage a", "rm d", "deactivate c"];
    let commands = commands.map(|command| command.split(' ').collect());
    let said = at_once(&site, &commands);
    assert!(said.iter().all(|said| [0, 2, 3].contains(&said.code)), "{said:?}");
    assert_both_names_serve(&site, &said);
}

#[test]
fn of_two_inits_one_makes_the_builds_and_the_other_waits() {
    // It fails where it runs a second time.
    let init = "\n[init]\ncommands = [[\"mkdir\", \"../../one\"]]\n";
    let site = Site::up("plain", init);
    let said = at_once(&site, &vec![vec!["init"]; 3]);
    assert!(said.iter().all(|said| said.code == 0), "{said:?}");
    assert_eq!(site.names(), ("a".into(), "b".into()));
}

#[test]
fn an_init_leaves_the_names_to_those_who_got_them_meanwhile() {
    let site = Site::ready("plain", "");
    let build = hold(&site, "build-a.lock");
    let heard = site.dir.join("heard");
    let mut init = site.command(&["init"]);
    let init = init.stdout(Stdio::piped()).stderr(File::create(&heard).unwrap()).spawn().unwrap();
    wait_for("the wait", || fs::read_to_string(&heard).unwrap().contains("waiting for build a"));
    site.ok(&["swap-live"]);
    drop(build);
    let said = Said::from(init.wait_with_output().unwrap());
    assert!(said.code == 0 && said.out.starts_with("build b is live on "), "{said:?}");
    assert_eq!(site.names(), ("b".into(), "a".into()));
}

/// Live and stage are two builds, and each answers under its name with all of its workers.
#[track_caller]
pub fn assert_both_names_serve(site: &Site, said: &[Said]) {
    let (live, stage) = site.names();
    assert_ne!(live, stage);
    for (name, (code, body)) in [(live, site.live("/")), (stage, site.staged("/"))] {
        assert_eq!((code, site.status(&name)["workers"].as_u64()), (200, Some(2)), "{name}: {said:?}");
        assert!(body.contains(&format!(r#""build": "{name}""#)), "{body}");
    }
}
