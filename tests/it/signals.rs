//! Ctrl-C, and what a service manager sends: a command ends, its children end, and the same command goes on later.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helpers::{GATE, Gate};
use crate::look::{in_request, processes_of};
use crate::site::{Said, Site, get, wait_for};

/// A program as an `[assets]` command that never ends. What a shell starts in the background does not listen to Ctrl-C, but
/// the shell does.
const FAMILY: &str = "sleep 86001 & (sleep 86002 & wait) & echo > ../../started; wait";

/// Starts a command whose words go to a file of their own.
fn start(site: &Site, args: &[&str]) -> Child {
    let heard = File::create(site.dir.with_extension("heard")).unwrap();
    site.command(args).stdout(Stdio::null()).stderr(heard).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// Waits until it has ended, and returns how, and what it said.
#[track_caller]
fn end(site: &Site, mut child: Child) -> (ExitStatus, String) {
    let mut status = None;
    wait_for("the end of the command", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let heard = site.dir.with_extension("heard");
    let said = fs::read_to_string(&heard).unwrap();
    fs::remove_file(heard).unwrap();
    (status.unwrap(), said)
}

/// Sends a signal to a command once it is where `there` says, and checks that it ends by it, tells so, and leaves no
/// process and no temporary file.
#[track_caller]
fn interrupt(site: &Site, args: &[&str], signal: Signal, there: impl FnMut() -> bool) -> String {
    let command = start(site, args);
    wait_for("the command at work", there);
    send(&command, signal);
    let (status, said) = end(site, command);
    assert_eq!(status.signal(), Some(signal as i32), "{args:?}: {status:?}\n{said}");
    assert!(said.contains(&format!("error: interrupted by {signal}\n  why: ")), "{args:?}: {said}");
    assert!(said.contains("\n next: "), "{args:?}: {said}");
    nothing_is_left(site, args);
    said
}

#[track_caller]
fn nothing_is_left(site: &Site, args: &[&str]) {
    let left: Vec<_> = processes_of(site).into_iter().filter(|process| process.title.contains("sleep 86")).collect();
    assert!(left.is_empty(), "{args:?}: {left:?}");
    let files = walkdir::WalkDir::new(site.root()).into_iter().map(|entry| entry.unwrap().into_path());
    let temporary = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with('.') && (name.ends_with(".tmp") || name == ".source" || name.starts_with(".builds-copy"))
    };
    assert_eq!(files.filter(temporary).collect::<Vec<_>>(), [] as [std::path::PathBuf; 0], "{args:?}");
}

#[test]
fn an_interrupted_create_ends_with_all_that_it_started_and_goes_on_later() {
    let assets = format!("\n[assets]\ncommands = [[\"sh\", \"-c\", \"{FAMILY}\"]]\n");
    let site = Site::up("plain", &assets);
    let started = site.root().join("started");
    for (tries, signal) in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().enumerate() {
        let said = interrupt(&site, &["create", "a"], signal, || started.exists());
        assert_eq!(said.contains("python   done before"), tries > 0, "{said}");
        assert!(said.contains("create a stopped at step assets") && said.contains("was ended"), "{said}");
        assert!(said.contains("next: builds create a continues, or builds rm a removes it"), "{said}");
        assert_eq!(site.status("a")["state"], "incomplete");
        fs::remove_file(&started).unwrap();
    }
    site.configure("\n[assets]\ncommands = []\n");
    site.ok(&["create", "a"]);
}

#[test]
fn ctrl_c_in_a_terminal_reaches_everybody_at_once() {
    let assets = format!("\n[assets]\ncommands = [[\"sh\", \"-c\", \"{FAMILY}\"]]\n");
    let site = Site::up("plain", &assets);
    // A terminal's foreground process group: the parent dies before anyone can look whose children the others were.
    let heard = File::create(site.dir.with_extension("heard")).unwrap();
    let mut create = site.command(&["create", "a"]);
    let create = create.process_group(0).stdout(Stdio::null()).stderr(heard).spawn().unwrap();
    wait_for("the command at work", || site.root().join("started").exists());
    kill(Pid::from_raw(-(create.id() as i32)), Signal::SIGINT).unwrap();
    let (status, said) = end(&site, create);
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{said}");
    assert!(said.contains("interrupted by SIGINT"), "{said}");
    nothing_is_left(&site, &["create"]);
}

#[test]
fn a_second_signal_does_not_wait_and_what_is_left_ends_with_the_next_command() {
    let deaf = "trap 'echo > ../../told' INT; echo > ../../started; while :; do sleep 86004; done";
    let site = Site::up("plain", &format!("\n[assets]\ncommands = [[\"sh\", \"-c\", \"{deaf}\"]]\n"));
    let create = start(&site, &["create", "a"]);
    wait_for("the command at work", || site.root().join("started").exists());
    send(&create, Signal::SIGINT);
    wait_for("the first signal to be passed on", || site.root().join("told").exists());
    send(&create, Signal::SIGINT);
    let (status, said) = end(&site, create);
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{said}");
    assert!(!said.contains("error:"), "it was ended in the middle of it: {said}");
    site.configure("\n[assets]\ncommands = []\n");
    site.ok(&["create", "a"]);
    nothing_is_left(&site, &["create"]);
}

#[test]
fn whoever_waits_for_a_lock_can_be_interrupted() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = gate.create("a");
    let heard = site.dir.with_extension("heard");
    for verb in ["create", "activate", "deactivate", "stop", "stage", "swap-live", "rm"] {
        let waits = || fs::read_to_string(&heard).is_ok_and(|said| said.contains("for build a, held by"));
        let said = interrupt(&site, &[verb, "a"], Signal::SIGTERM, waits);
        assert!(said.contains("the same command again goes on where this one stopped"), "{said}");
    }

    let rm = site.command(&["--json", "rm", "a"]).stdout(Stdio::piped()).stderr(File::create(&heard).unwrap()).spawn();
    let rm = rm.unwrap();
    wait_for("its wait", || fs::read_to_string(&heard).is_ok_and(|said| said.contains("for build a, held by")));
    send(&rm, Signal::SIGTERM);
    let said: serde_json::Value = serde_json::from_slice(&rm.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((&said["changed"], &said["error"]["code"]), (&false.into(), &143.into()), "{said}");
    fs::remove_file(heard).unwrap();
    gate.open();
    assert!(create.wait().unwrap().success());
}

#[test]
fn an_interrupted_drain_lets_the_workers_go_on() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    site.ok(&["create", "b"]);
    site.ok(&["activate", "a"]);
    for args in [&["deactivate", "a"][..], &["stop", "a"], &["archive", "a", "--basis", "b"], &["rm", "a"]] {
        let port = site.port("a");
        let request = thread::spawn(move || get(port, "/slow?seconds=2"));
        wait_for("a busy worker", || in_request(&site, "a") == 1);
        let draining = site.build("a").join("run/zerg.draining");
        interrupt(&site, args, Signal::SIGINT, || draining.exists());
        assert!(!draining.exists());
        assert_eq!(request.join().unwrap().0, 200);
        assert_eq!(get(port, "/").0, 200);
        wait_for("a ready build", || ["ready", "warm"].contains(&site.status("a")["state"].as_str().unwrap()));
    }
}

#[test]
fn an_interrupted_restart_leaves_workers_that_answer() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let (port, dir) = (site.port("a"), site.build("a"));
    // While the new ones load.
    let app = fs::read_to_string(dir.join("wsgi.py")).unwrap();
    fs::write(dir.join("wsgi.py"), "import time\ntime.sleep(86400)\n").unwrap();
    interrupt(&site, &["restart", "a"], Signal::SIGTERM, || dir.join("zerg-2.ini").exists());
    assert!(!dir.join("zerg-2.ini").exists());
    assert_eq!(get(port, "/").0, 200);
    fs::write(dir.join("wsgi.py"), app).unwrap();
    // While the old ones finish.
    let request = thread::spawn(move || get(port, "/slow?seconds=3"));
    wait_for("a busy worker", || in_request(&site, "a") == 1);
    interrupt(&site, &["restart", "a"], Signal::SIGINT, || dir.join("run/zerg.draining").exists());
    assert_eq!((request.join().unwrap().0, get(port, "/").0), (200, 200));
    site.ok(&["restart", "a"]);
    assert_eq!((site.status("a")["workers"].as_u64(), get(port, "/").0), (Some(2), 200));
    assert!(dir.join("zerg.ini").exists() && !dir.join("zerg-2.ini").exists());
}

#[test]
fn an_interrupted_activate_and_warmup_leave_the_build_as_it_was() {
    let site = Site::ready("plain", "");
    site.write("wsgi.py", "import time\ntime.sleep(86400)\n");
    site.ok(&["create", "c"]);
    let zerg = site.build("c").join("zerg.ini");
    for verb in ["activate", "stage"] {
        interrupt(&site, &[verb, "c"], Signal::SIGINT, || zerg.exists());
        assert!(!zerg.exists());
        assert_eq!(site.status("c")["state"], "listening");
    }
    site.write("builds.toml", &(site.read("builds.toml") + "\n[warmup]\npaths = [\"/slow?seconds=30\"]\n"));
    interrupt(&site, &["warmup", "-c", "1"], Signal::SIGTERM, || in_request(&site, "b") == 1);
    assert_eq!(site.names(), ("a".into(), "b".into()));
}

#[test]
fn an_nginx_that_is_being_tested_is_ended_and_the_names_are_taken_back() {
    let test = "echo > tested; exec sleep 86005";
    let hosts = format!("\n[nginx]\nupstream = \"port\"\ntest = [\"sh\", \"-c\", \"{test}\"]\npid_file = \"PID\"\n");
    let mut site = Site::new("plain", "");
    let pid_file = site.dir.join("host.pid");
    site.configure(&hosts.replace("PID", &pid_file.display().to_string()));
    site.start();
    site.ok(&["init"]);
    fs::rename(site.root().join("run/nginx.pid"), &pid_file).unwrap();
    let before = site.names();
    let said = interrupt(&site, &["swap-live"], Signal::SIGINT, || site.dir.join("tested").exists());
    assert!(said.contains("taken back: sh -c") && said.contains("was ended"), "{said}");
    assert_eq!(site.names(), before);
    site.configure(&hosts.replace("PID", &pid_file.display().to_string()).replace(test, "true"));
    let master: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let reload = format!("reload = [\"kill\", \"-HUP\", \"{master}\"]\n");
    site.write("builds.toml", &site.read("builds.toml").replace("pid_file", &(reload + "pid_file")));
    site.ok(&["swap-live"]);
}

#[test]
fn wheels_init_and_doctor_end_their_programs_too() {
    let site = Site::up("plain", "\n[init]\ncommands = [[\"sh\", \"-c\", \"echo > ../../init; exec sleep 86006\"]]\n");
    interrupt(&site, &["init"], Signal::SIGTERM, || site.root().join("init").exists());
    let slow = "#!/bin/sh\necho > \"$(dirname \"$0\")/deploy/asked\"\nexec sleep 86007\n";
    site.write("slow", slow);
    assert!(Command::new("chmod").arg("+x").arg(site.dir.join("slow")).status().unwrap().success());
    site.configure(&format!("\n[python]\ninterpreter = {:?}\n", site.dir.join("slow")));
    for args in [&["wheels"][..], &["doctor"]] {
        let said = interrupt(&site, args, Signal::SIGINT, || site.root().join("asked").exists());
        assert!(!said.contains("apt-get"), "an interrupted look is no finding: {said}");
        fs::remove_file(site.root().join("asked")).unwrap();
    }
}

#[test]
fn a_signal_that_the_caller_ignores_is_ignored() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    // As nohup calls it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" create a", &site.caller[0]]).current_dir(&site.dir);
    let here = site.root().join("at-gate");
    let mut create = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a create at the gate", || fs::read(&here).is_ok_and(|pid| pid.ends_with(b"\n")));
    send(&create, Signal::SIGHUP);
    gate.open();
    assert!(create.wait().unwrap().success());
}

#[test]
fn run_and_shell_become_the_program() {
    let site = Site::ready("plain", "");
    let mut run = site.command(&["run", "a", "--", "sh", "-c", "echo $$; exec sleep 86008"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut pid = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(run.stdout.take().unwrap()), &mut pid).unwrap();
    assert_eq!(pid.trim(), run.id().to_string());
    send(&run, Signal::SIGINT);
    assert_eq!(run.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    nothing_is_left(&site, &["run"]);

    // Where a document has to follow, the program is asked to end, and its end is told.
    let script = "sleep 86009 & trap \"kill $!; exit 7\" TERM; echo > ../../ready; wait";
    let mut run = site.command(&["--json", "run", "a", "--", "sh", "-c", script]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the program", || site.root().join("ready").exists());
    send(&run, Signal::SIGTERM);
    let said = Said::from(run.wait_with_output().unwrap());
    assert_eq!((said.code, said.out.contains("\"status\":7")), (7, true), "{said:?}");
}
