//! What commands print, for people and for programs, and what they never print.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::helpers::shell;
use crate::site::{Said, Site};

/// The fields of each command's document, as the README documents them, by a command line that changes something. Run in
/// this order, all of them succeed.
pub const FIELDS: &[(&[&str], &str)] = &[
    (&["init"], "changed command live nginx_reloaded stage"),
    (&["wheels"], "changed command new wheels"),
    (&["find-free"], "build command"),
    (&["create", "c"], "build changed command manifest port tag"),
    (&["activate", "c"], "build changed command workers"),
    (&["warmup", "c"], "build changed command max_ms p50_ms p95_ms requests seconds workers"),
    (&["canary", "c"], "build changed command of share workers"),
    (&["stage", "c"], "build changed command live nginx_reloaded stage"),
    (&["gates", "c"], "build command passed"),
    (&["migrations", "c"], "build command leaves migrations"),
    (&["migrate", "c"], "build changed command migrations"),
    (&["swap-live"], "changed command live nginx_reloaded stage"),
    (&["rollback"], "changed command live nginx_reloaded skipped stage"),
    (&["rollback", "c"], "changed command live nginx_reloaded skipped stage"),
    (&["watch", "--seconds", "1"], "after before build changed command moved"),
    (&["restart", "live"], "build changed command workers"),
    (&["deactivate", "b"], "build changed command"),
    (&["stop", "b"], "build changed command"),
    (&["archive", "b"], "basis build bytes changed command files"),
    (&["mark", "b", "--bad", "slow"], "bad build changed command"),
    (&["freeze", "for a moment"], "changed command frozen"),
    (&["thaw"], "changed command"),
    (&["history"], "changes command damaged"),
    (&["diff", "a", "c"], "added_commits command from npm python removed_commits settings static to"),
    (&["verify", "a"], "build command files same"),
    (&["port", "a"], "build command port"),
    (&["run", "a", "--", "echo", "hello"], "build command status"),
    (&["shell", "a"], "build command status"),
    (&["list"], "builds command live stage"),
    (&["maintenance", "on"], "changed command maintenance"),
    (&["pause"], "build changed command until"),
    (&["status"], "builds canary command frozen live maintenance paused recent stage"),
    (&["resume"], "builds changed command held"),
    (&["logs", "live"], "build command errors requests"),
    (&["doctor"], "command findings"),
    (&["rm", "b"], "build changed command"),
    (&["prune", "--keep", "0"], "builds bytes changed command exact remains static"),
    (&["deploy"], "build changed command live seconds stage tag"),
];

/// The only line that a command prints with `--json`.
#[track_caller]
fn document(site: &Site, code: i32, args: &[&str]) -> Value {
    let said = site.run(&[&["--json"], args].concat());
    // Events come before the result of a deploy.
    let lines = if args[0] == "deploy" { said.out.lines().count() } else { 1 };
    assert_eq!((said.code, said.out.matches('\n').count()), (code, lines), "{args:?}: {said:?}");
    let document: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert_eq!(document["command"], args[0]);
    document
}

#[test]
fn json_is_one_document_of_documented_fields() {
    let site = Site::up("plain", "");
    for (args, fields) in FIELDS {
        let document = document(&site, 0, args);
        let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys.join(" "), *fields, "{args:?}");
        if fields.contains("changed") {
            let changes = !["wheels", "watch", "prune", "migrate"].contains(&args[0]);
            assert_eq!(document["changed"], changes, "{args:?}");
        }
    }
    let status = document(&site, 0, &["status"]);
    assert_eq!((&status["live"], &status["stage"]), (&"b".into(), &"c".into()));
    let row: Vec<&str> = status["builds"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(row.join(" "), "bad build created memory port requests role size state tag workers");
    // Two interpreters.
    assert!(site.status("c")["memory"].as_u64().is_some_and(|bytes| bytes > 2_000_000), "{status}");
}

#[test]
fn json_is_one_document_for_a_failure_too() {
    let site = Site::ready("plain", "");
    let said = document(&site, 3, &["create", "a"]);
    assert_eq!(
        said,
        json!({"command": "create", "changed": false, "error": {
            "code": 3,
            "what": "build a exists",
            "why": said["error"]["why"],
            "next": r#"builds create "$(builds find-free)", or builds rm a first"#,
        }})
    );
    for (code, args) in [
        (2, &["rm", "live"][..]),
        (3, &["stop", "b"]),
        (2, &["activate", "q"]),
        (2, &["port", "1"]),
        (1, &["up"]),
        (1, &["run", "a", "--", "no-such-program"]),
        // What is wrong before there is a command to run.
        (2, &["create"]),
        (2, &["create", "a", "--no-such-option"]),
        (2, &["no-such-command"]),
    ] {
        let said = document(&site, code, args);
        assert_eq!((&said["changed"], &said["error"]["code"]), (&false.into(), &code.into()), "{args:?}");
        for part in ["what", "why", "next"] {
            assert!(!said["error"][part].as_str().unwrap().is_empty(), "{args:?}: {said}");
        }
    }
}

#[test]
fn progress_goes_to_standard_error_and_quiet_silences_it() {
    let site = Site::up("plain", "");
    let said = site.run(&["create", "a"]);
    assert_eq!(said.out, format!("build a (untagged) listens on 127.0.0.1:{}\n", site.ports.base));
    assert!(said.err.lines().count() >= 3 && said.err.starts_with("source   "), "{}", said.err);
    let said = site.run(&["-q", "create", "b"]);
    assert_eq!((said.out.lines().count(), said.err.as_str()), (1, ""));
    let said = site.fails(3, &["-q", "create", "b"]);
    assert!(said.starts_with("error: build b exists\n  why: "), "{said}");
    assert!(said.contains("\n next: "), "{said}");
    assert_eq!(site.run(&["-q", "-v", "list"]).code, 2);
}

#[test]
fn list_and_status_are_tables_for_people() {
    let site = Site::ready("plain", "\n[assets]\ncommands = [[\"test\", \"!\", \"-e\", \"../../broken\"]]\n");
    site.ok(&["create", "c", "--tag", "v1.2"]);
    site.write("deploy/broken", "");
    site.fails(1, &["create", "d"]);
    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let list = words(&site.ok(&["list"]));
    let columns = |row: &[String], which: &[usize]| which.iter().map(|&n| row[n].clone()).collect::<Vec<_>>().join(" ");
    let shown: Vec<String> = list.iter().map(|row| columns(row, &[0, 1, 3])).collect();
    assert_eq!(shown, ["a live untagged", "b stage untagged", "c - v1.2", "d - untagged"]);

    let status = words(&site.ok(&["status"]));
    assert_eq!(status[0].join(" "), "BUILD ROLE STATE PORT WORKERS REQUESTS MEMORY AGE SIZE TAG");
    let shown: Vec<String> = status[1..].iter().map(|row| columns(row, &[0, 1, 2, 4])).collect();
    assert_eq!(shown, ["a live warm 2", "b stage warm 2", "c - listening 0", "d - incomplete 0"]);
    assert_eq!(status[3][3], (site.ports.base + 20).to_string());
}

#[test]
fn run_gives_a_command_the_builds_environment_and_its_own_exit_code() {
    let site = Site::up("plain", "\n[env]\nMOOD = \"calm; $HOME %d\"\n");
    site.ok(&["create", "a", "--tag", "v7"]);
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
        assert_eq!(site.run(&["--json", "run", "a", "--", "sh", "-c", script]).code, code, "{script}");
        // Without a document the command takes the place of `builds`, so it is seen to end by the signal itself.
        let plain = if code > 128 { -1 } else { code };
        assert_eq!(site.run(&["run", "a", "--", "sh", "-c", script]).code, plain, "{script}");
    }
    let names = "BUILD_NAME BUILD_TAG BUILD_DIR STATIC_ROOT STATIC_URL MEDIA_ROOT MOOD PYTHONPATH PWD";
    let ask = "import os, sys; print(*(os.environ.get(name) for name in sys.argv[1].split()), *sys.argv[2:], sep='|')";
    let mut run = site.command(&["run", "a", "--", "python", "-c", ask, names, "two words", "", "$x;'\""]);
    let said =
        Said::from(run.env("PYTHONPATH", "/elsewhere").env("BUILD_NAME", "z").env_remove("PWD").output().unwrap());
    let (build, root) = (site.build("a").display().to_string(), site.root().display().to_string());
    let expected = format!(
        "a|v7|{build}|{root}/assets/static/a|/static/a/|{root}/assets/media|calm; $HOME %d|None|None|two words||$x;'\"\n"
    );
    assert_eq!(said.out, expected, "{}", said.err);
    assert_eq!(
        site.ok(&["run", "a", "--", "sh", "-c", "pwd; command -v python"]),
        format!("{build}\n{build}/bin/python\n")
    );
    assert!(site.fails(1, &["run", "a", "--", "no-such-program"]).contains("cannot run no-such-program"));
    assert_eq!(site.run(&["run", "a"]).code, 2);
}

#[test]
fn workers_have_the_environment_of_run() {
    let names = "BUILD_NAME BUILD_TAG BUILD_DIR STATIC_ROOT STATIC_URL MEDIA_ROOT MOOD";
    let site = Site::up("plain", "\n[env]\nMOOD = \"calm; $HOME %d @(x)\"\n");
    site.write(
        "wsgi.py",
        &format!(
            "import os\ndef application(environ, start):\n    start('200 OK', [])\n    \
             return ['|'.join(os.environ[name] for name in '{names}'.split()).encode()]\n"
        ),
    );
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let script = names.split(' ').map(|name| format!("${name}")).collect::<Vec<_>>().join("|");
    let in_run = site.ok(&["run", "a", "--", "sh", "-c", &format!("echo \"{script}\"")]);
    assert_eq!(crate::site::get(site.ports.base, "/").1, in_run.trim_end());
}

#[test]
fn shell_runs_python_on_what_it_is_given() {
    let site = Site::ready("plain", "");
    assert_eq!(site.run(&["shell"]).code, 0, "nothing to read is nothing to do");
    for (args, build) in [(&["shell"][..], "a"), (&["shell", "stage"], "b")] {
        let mut shell = site.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(b"import os; print(os.environ['BUILD_NAME'], 6 * 7)").unwrap();
        let said = Said::from(shell.wait_with_output().unwrap());
        assert_eq!((said.code, said.out), (0, format!("{build} 42\n")));
    }
    let said = site.run(&["--json", "run", "a", "--", "echo", "hello"]);
    assert!(said.err.contains("hello") && !said.out.contains("hello"), "{said:?}");
}

#[test]
fn secrets_stay_where_only_the_workers_read_them() {
    const SECRET: &str = "s3cr3t-sentinel";
    let extra = format!("\n[env]\nTOKEN = \"{SECRET}\"\n[assets]\ncommands = [[\"test\", \"-e\", \"../../go\"]]\n");
    let site = Site::up("plain", &extra);
    site.write("wsgi.py", "def application(e, s):\n    s('200 OK', [])\n    return [b'ok']\n");
    let mut said = vec![site.run(&["-v", "create", "a"])];
    site.write("deploy/go", "");
    for args in ["-v init", "--json status", "-v run a -- false", "--json run a -- no-such-program", "-v doctor"] {
        said.push(site.run(&args.split(' ').collect::<Vec<_>>()));
    }
    site.write("wsgi.py", "import no_such_module\n");
    for args in ["--json create c", "--json -v activate c", "status", "-v warmup", "swap-live", "--json doctor"] {
        said.push(site.run(&args.split(' ').collect::<Vec<_>>()));
    }
    let codes: Vec<i32> = said.iter().map(|said| said.code).collect();
    assert_eq!(codes, [1, 0, 0, 1, 1, 0, 0, 5, 0, 0, 0, 0], "{said:?}");
    for (code, args) in [
        (0, "-v find-free"),
        (0, "-v list"),
        (0, "-v port live"),
        (0, "-v shell a"),
        (1, "-v up"),
        (3, "-v create a"),
        (3, "-v stage b"),
        (3, "-v rm b"),
        (0, "-v swap-live"),
        (0, "-v stop c"),
        (0, "-v archive c"),
        (5, "-v --json activate c"),
        (0, "-v deactivate c"),
        (0, "-v wheels"),
    ] {
        said.push(site.run(&args.split(' ').collect::<Vec<_>>()));
        assert_eq!(said.last().unwrap().code, code, "{args} {said:?}");
    }
    said.push(site.run(&["status"]));
    said.last_mut().unwrap().err += &fs::read_to_string(site.up_file()).unwrap();
    said.last_mut().unwrap().err += &shell(Command::new("ps").args(["-A", "-o", "args"]));
    let toml = site.read("builds.toml");
    let wrong = [
        toml.replace(&format!("\"{SECRET}\""), SECRET),
        toml.replace(&format!("\"{SECRET}\""), &format!("\"{SECRET}")),
        toml.replace(&format!("\"{SECRET}\""), &format!("[\"{SECRET}\"]")),
        toml.replace("[env]", &format!("[env]\nTOKEN = \"{SECRET}\"")),
        toml.replace("TOKEN", "TO KEN"),
        toml.replace("TOKEN", "PATH"),
    ];
    for wrong in wrong {
        site.write("builds.toml", &wrong);
        said.push(site.run(&["list"]));
        assert_eq!(said.last().unwrap().code, 2);
    }
    assert!(said.iter().all(|said| !(said.out.contains(SECRET) || said.err.contains(SECRET))), "{said:?}");
    let found = shell(Command::new("grep").args(["-rlD", "skip", SECRET, "."]).current_dir(&site.dir));
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    let kept = |build| format!("./deploy/builds/{build}/run/env/TOKEN");
    assert_eq!(found, ["./builds.toml", &kept("a"), &kept("b"), &kept("c")]);
    let modes = ["a/run", "a/run/env", "a/run/env/TOKEN"].map(|path| {
        let path = site.root().join("builds").join(path);
        shell(Command::new("stat").args(["-c", "%a"]).arg(path))
    });
    assert_eq!(modes, ["750", "700", "600"]);
}
