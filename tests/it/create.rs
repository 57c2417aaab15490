//! `builds create`: what it makes, and how it fails and goes on.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::helpers::{GATE, Gate, listing, shell};
use crate::look::processes_of;
use crate::site::{Site, wait_for};

#[test]
fn a_create_makes_the_documented_layout() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a", "--tag", "v1.2"]);
    let link = |path: &str| fs::read_link(site.build("a").join(path)).unwrap().display().to_string();
    assert_eq!(link("vassal.ini"), "../../conf/vassal.skel");
    assert_eq!(link("assets/static"), "../../../assets/static/a");
    assert_eq!(link("assets/media"), "../../../assets/media");
    for path in ["vassal.ini", "assets/static", "assets/media", "bin/python", "build.ini", "wsgi.py"] {
        assert!(site.build("a").join(path).exists(), "{path}");
    }
    assert!(!site.build("a").join("zerg.ini").exists());
    assert_eq!(site.read("deploy/builds/a/.DEPLOY_TAG"), "v1.2\n");
    let root = site.root();
    let own = root.display().to_string().replace('/', "-");
    let upstream = |name, link| {
        format!("upstream {name}{own} {{\n    server unix:{}/builds/{link}/run/web.sock;\n}}\n", root.display())
    };
    assert_eq!(site.read("deploy/builds/a/live.conf"), upstream("web", "_live"));
    assert_eq!(site.read("deploy/builds/a/stage.conf"), upstream("webstage", "_stage"));
    let mode = |path: &str| fs::metadata(site.build("a").join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("run/env"), mode("run/env/BUILD_NAME")), (0o750, 0o700, 0o600));
    assert_eq!(fs::read_dir(site.root().join("builds")).unwrap().count(), 1, "nothing but the build");
    assert!(TcpStream::connect(("127.0.0.1", site.ports.base)).is_ok());
}

#[test]
fn the_manifest_tells_what_when_and_from_where() {
    let site = Site::up("plain", "");
    let said = site.json(&["create", "a", "--tag", "v1.2"]);
    let manifest: serde_json::Value = serde_json::from_str(&site.read("deploy/builds/a/build.json")).unwrap();
    assert_eq!(said["manifest"], manifest);
    assert_eq!((&manifest["name"], &manifest["state"]), (&"a".into(), &"complete".into()));
    assert_eq!((&manifest["tag"], &manifest["module"]), (&"v1.2".into(), &"wsgi:application".into()));
    assert_eq!(manifest["source"], serde_json::json!({"path": site.dir, "commit": null, "ref": null}));
    let python = site.run(&["run", "a", "--", "python", "-c", "import platform; print(platform.python_version())"]);
    assert_eq!(manifest["python"], python.out.trim());
    assert!(manifest["created"].as_u64().unwrap() > 0 && manifest["finished"].as_u64() >= manifest["created"].as_u64());
    assert!(manifest["bytes"].as_u64().unwrap() > 0, "{manifest}");
    let mut steps: Vec<&str> =
        manifest["steps"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!((steps[0], steps[steps.len() - 1]), ("source", "listen"));
    steps.sort_unstable();
    assert_eq!(
        steps,
        ["assets", "bytecode", "conf", "links", "listen", "node", "overlay", "python", "source", "stamp", "sync"]
    );
}

#[test]
fn the_emperor_sees_the_build_last() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let changed = |path: &Path| {
        let data = fs::symlink_metadata(path).unwrap();
        (data.ctime(), data.ctime_nsec())
    };
    let link = changed(&site.build("a").join("vassal.ini"));
    // That it was seen is written down afterwards, into a manifest that said complete before.
    for path in listing(&site.build("a"), &["run", "vassal.ini", "build.json"]).keys() {
        assert!(changed(&site.build("a").join(path)) <= link, "{} is younger than vassal.ini", path.display());
    }
}

#[test]
fn a_complete_build_is_never_made_again() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let before = listing(&site.build("a"), &["run"]);
    site.write("wsgi.py", "raise SystemExit");
    let said = site.fails(3, &["create", "a"]);
    assert!(said.contains("build a exists") && said.contains("builds rm a"), "{said}");
    assert_eq!(listing(&site.build("a"), &["run"]), before);
}

#[test]
fn a_failing_step_explains_itself_and_a_second_create_continues() {
    let site = Site::up("broken/collectstatic-fails", "");
    let said = site.fails(1, &["create", "a"]);
    let log = site.root().join("logs/a.create-assets.log");
    for part in [
        "create a stopped at step assets",
        "no-such-picture.png",
        &log.display().to_string(),
        "builds create a continues",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(fs::read_to_string(log).unwrap().contains("no-such-picture.png"));
    assert!(!site.build("a").join("vassal.ini").exists() && !site.build("a").join("zerg.ini").exists());
    assert_eq!(site.status("a")["state"], "incomplete");
    assert!(TcpStream::connect(("127.0.0.1", site.ports.base)).is_err());

    site.write("static/site.css", "body { color: black }\n");
    site.ok(&["create", "a"]);
    assert_eq!(site.status("a")["state"], "listening");
    assert!(site.root().join("assets/static/a/site.css").exists());
}

#[test]
fn a_failing_step_stops_the_others_and_only_its_own_error_is_shown() {
    let site = Site::up("plain", "");
    site.write("requirements.txt", "no-such-package-of-ours==7.1\n");
    // Opened for reading, a FIFO without a writer holds npm, and the install of packages begins only then.
    mkfifo(&site.root().join("held"), Mode::S_IRWXU).unwrap();
    site.write("package.json", r#"{"name": "shop", "scripts": {"preinstall": "echo > ../../begun; cat ../../held"}}"#);
    let said = site.fails(1, &["create", "a"]);
    assert!(said.contains("create a stopped at step python") && said.contains("no-such-package-of-ours"), "{said}");
    assert!(!said.contains("npm"), "{said}");
    let left = processes_of(&site).into_iter().filter(|one| one.title.contains("held") || one.title.contains("npm"));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_killed_create_is_continued_by_the_same_command() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = gate.create("a");
    create.kill().unwrap();
    create.wait().unwrap();
    assert_eq!(site.status("a")["state"], "incomplete");
    assert!(!site.build("a").join("vassal.ini").exists());
    gate.open();
    let said = site.run(&["create", "a"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(site.status("a")["state"], "listening");
}

#[test]
fn a_create_that_was_killed_before_it_listened_is_continued_by_the_same_command_alone() {
    let mut site = Site::up("plain", "");
    // The thread that waits for the steps makes one link, which is vassal.ini.
    let killed = ["strace", "-o", "/dev/null", "-e", "trace=symlink", "-e", "inject=symlink:signal=KILL"];
    let own = site.caller.clone();
    site.caller.splice(0..0, killed.map(str::to_owned));
    assert_eq!(site.run(&["create", "a", "--tag", "v1"]).code, -1);
    site.caller = own;
    assert_eq!(site.status("a")["state"], "stopped");
    assert!(site.fails(3, &["create", "a", "--tag", "v2"]).contains("build a exists"));
    site.ok(&["create", "a", "--tag", "v1"]);
    assert_eq!(site.status("a")["state"], "listening");
    site.ok(&["stop", "a"]);
    assert!(site.fails(3, &["create", "a", "--tag", "v1"]).contains("build a exists"));
}

#[test]
fn what_a_killed_create_has_left_running_is_ended() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    for (again, code) in [("create", 1), ("rm", 0)] {
        let mut create = gate.create("a");
        let orphan: i32 = site.read("deploy/at-gate").trim().parse().unwrap();
        create.kill().unwrap();
        create.wait().unwrap();
        assert!(Path::new(&format!("/proc/{orphan}/cwd")).exists(), "it goes on without its command");
        site.configure("\n[assets]\ncommands = [[\"false\"]]\n");
        let said = site.run(&[again, "a"]);
        let ended = format!("ending what a killed command has left: process {orphan} (cat ../../gate)");
        assert!(said.code == code && said.err.contains(&ended), "{said:?}");
        wait_for("the end of the orphan", || !Path::new(&format!("/proc/{orphan}/cwd")).exists());
        site.configure(GATE);
    }
}

#[test]
fn a_live_build_with_a_damaged_manifest_is_not_made_again() {
    let site = Site::ready("plain", "");
    let (manifest, damaged) = ("deploy/builds/a/build.json", "{\"name\":");
    let whole = site.read(manifest);
    site.write(manifest, damaged);
    site.write("new.py", "");
    site.fails(3, &["create", "a"]);
    assert!(!site.build("a").join("new.py").exists());
    assert_eq!(site.read(manifest), damaged);
    site.write(manifest, &whole);
    site.ok(&["swap-live"]);
}

#[test]
fn the_copy_of_a_build_is_no_build() {
    let site = Site::ready("plain", "");
    shell(Command::new("cp").arg("-a").arg(site.build("b")).arg(site.build("c")));
    assert_eq!(site.status("c")["state"], "incomplete");
    site.fails(3, &["stage", "c"]);
    site.ok(&["rm", "c"]);
    assert_eq!(site.status("b")["state"], "warm");
}

#[test]
fn what_has_gone_from_the_source_between_two_tries_is_gone_in_the_build() {
    let site = Site::up("plain", "\n[assets]\ncommands = [[\"test\", \"-e\", \"../../go\"]]\n");
    site.write("old/module.py", "");
    site.write("kept/module.py", "");
    site.fails(1, &["create", "a"]);
    assert!(site.build("a").join("old/module.py").exists());
    fs::remove_dir_all(site.dir.join("old")).unwrap();
    site.write("deploy/go", "");
    site.ok(&["create", "a"]);
    assert!(!site.build("a").join("old").exists());
    assert!(site.build("a").join("kept/module.py").exists());
}

#[test]
fn a_step_that_failed_after_the_source_changed_never_passes_for_done() {
    let site = Site::up("plain", "\n[assets]\ncommands = [[\"test\", \"-e\", \"../../go\"]]\n");
    let said = site.fails(1, &["create", "a"]);
    assert!(said.contains("stopped at step assets"), "{said}");
    site.write("requirements.txt", "no-such-package==1\n");
    for _ in 0..2 {
        let said = site.fails(1, &["create", "a"]);
        assert!(said.contains("stopped at step python"), "{said}");
    }
    site.write("requirements.txt", "# none\n");
    site.write("deploy/go", "");
    site.ok(&["create", "a"]);
}

#[test]
fn without_uwsgi_nothing_is_begun() {
    let site = Site::new("plain", "");
    let said = site.fails(1, &["create", "a"]);
    assert!(said.contains("the vassals' emperor does not answer") && said.contains("builds up"), "{said}");
    assert!(!site.build("a").exists());
    assert_eq!(site.ok(&["find-free"]), "a\n");
}

#[test]
fn a_port_that_another_program_has_is_named() {
    let site = Site::up("plain", "");
    let other = TcpListener::bind(("127.0.0.1", site.ports.base)).unwrap();
    let said = site.fails(1, &["create", "a"]);
    assert!(said.contains(&format!("port {} of build a is taken", site.ports.base)), "{said}");
    assert!(!site.build("a").join("vassal.ini").exists());
    assert_eq!(site.status("a")["state"], "incomplete");
    drop(other);
    site.ok(&["create", "a"]);
}

#[test]
fn names_that_a_build_needs_for_itself_are_refused_in_a_source() {
    let site = Site::up("plain", "");
    for own in ["assets/static/site.css", "vassal.ini", "zerg.ini", "build.json", "run/notes.txt"] {
        site.write(own, "mine");
        let said = site.fails(1, &["create", "a"]);
        let name = own.trim_end_matches("/site.css").trim_end_matches("/notes.txt");
        assert!(said.contains(&format!("the source has {name} of its own: a build needs the name")), "{own}: {said}");
        assert!(said.contains("move it to another place in the source"), "{own}: {said}");
        assert_eq!(site.status("a")["state"], "incomplete");
        assert!(!site.build("a").join("vassal.ini").exists(), "{own}");
        let top = site.dir.join(own.split('/').next().unwrap());
        if top.is_dir() { fs::remove_dir_all(top) } else { fs::remove_file(top) }.unwrap();
    }
    site.ok(&["create", "a"]);
}

#[test]
fn an_emperor_that_is_too_busy_to_answer_is_waited_for() {
    let site = Site::up("plain", "");
    let signal_all = |signal| {
        let all = processes_of(&site).into_iter().filter(|process| process.title.starts_with("it-vassals"));
        let signalled: Vec<_> = all.map(|process| kill(Pid::from_raw(process.pid), signal).unwrap()).collect();
        assert!(!signalled.is_empty());
    };
    signal_all(Signal::SIGSTOP);
    let mut create = site.command(&["-q", "create", "a"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the link", || site.build("a").join("vassal.ini").exists());
    let linked = Instant::now();
    wait_for("an answer to be overdue", || linked.elapsed() > Duration::from_secs(3));
    signal_all(Signal::SIGCONT);
    assert!(create.wait().unwrap().success());
}
