//! Hooks are told what changes, those before a change can forbid it, and the others hold nothing up.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::helpers::{GATE, Gate};
use crate::look::processes_of;
use crate::site::{Site, wait_for};

const HOOKS: [&str; 8] = [
    "before_create",
    "after_create",
    "before_stage",
    "after_stage",
    "before_swap",
    "after_swap",
    "after_rollback",
    "on_failure",
];

/// Hooks that note what they are told, but for those that do something else.
fn hooks(others: &[(&str, &str)]) -> String {
    let note = r#"["sh", "-c", "test \"$(cat)\" = \"$BUILDS_EVENT\" && echo \"$BUILDS_EVENT\" >> told"]"#;
    let command = |hook: &str| others.iter().find(|(other, _)| *other == hook).map_or(note, |(_, command)| command);
    HOOKS
        .iter()
        .fold(String::from("\n[hooks]\ntimeout = 1\n"), |text, hook| text + &format!("{hook} = [{}]\n", command(hook)))
}

/// What the hooks were told since they were asked last.
fn told(site: &Site) -> Vec<Value> {
    let text = site.read("told");
    site.write("told", "");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(told: &[Value]) -> Vec<&str> {
    told.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn hooks_are_told_what_changes() {
    let site = Site::ready("plain", "");
    site.configure(&hooks(&[]));
    site.ok(&["create", "c", "--tag", "v2"]);
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    site.ok(&["rollback"]);
    let all = told(&site);
    assert_eq!(events(&all), HOOKS[..7]);
    let swap = &all[4];
    assert_eq!(
        (&swap["site"], &swap["build"], &swap["tag"], &swap["command"]),
        (&"it".into(), &"c".into(), &"v2".into(), &"swap-live".into())
    );
    assert_eq!(
        (&swap["from"]["live"], &swap["to"]["live"], &swap["to"]["stage"]),
        (&"a".into(), &"c".into(), &"a".into())
    );
    assert_eq!((&swap["result"], &all[5]["result"]), (&Value::Null, &"done".into()));
    assert_eq!((&all[6]["action"], &all[6]["to"]["live"]), (&"rollback".into(), &"a".into()));

    // Where nothing changes nobody is told, nor of what a rule refuses.
    site.ok(&["swap-live", "a"]);
    site.fails(3, &["rm", "a"]);
    site.fails(3, &["create", "c"]);
    assert_eq!(told(&site), Vec::<Value>::new());

    site.configure(&(hooks(&[]) + "\n[assets]\ncommands = [[\"false\"]]\n"));
    site.fails(1, &["deploy"]);
    let all = told(&site);
    assert_eq!(events(&all), ["before_create", "on_failure"], "a deploy fails once");
    assert_eq!((&all[1]["action"], &all[1]["build"], &all[1]["code"]), (&"deploy".into(), &"d".into(), &1.into()));
    assert!(all[1]["reason"].as_str().unwrap().contains("the deploy of d stopped at step create"), "{}", all[1]);
}

#[test]
fn a_command_that_is_interrupted_has_failed() {
    let site = Site::ready("plain", "");
    site.configure(&(hooks(&[]) + GATE));
    let mut create = Gate::new(&site).create("c");
    kill(Pid::from_raw(create.id() as i32), Signal::SIGTERM).unwrap();
    create.wait().unwrap();
    let all = told(&site);
    assert_eq!(events(&all), ["before_create", "on_failure"]);
    assert_eq!((&all[1]["build"], &all[1]["code"]), (&"c".into(), &143.into()));
}

#[test]
fn a_hook_before_a_change_can_forbid_it() {
    let site = Site::ready("plain", "");
    site.configure(&hooks(&[("before_swap", r#"["sh", "-c", "echo not on fridays; exit 3"]"#)]));
    let error = site.fails(1, &["swap-live"]);
    assert!(error.contains("hooks.before_swap forbids it: sh -c") && error.contains("not on fridays"), "{error}");
    assert_eq!(site.names(), ("a".into(), "b".into()));
    let all = told(&site);
    assert_eq!(events(&all), ["on_failure"]);
    // One that hangs forbids it, too, and is ended.
    site.configure(&hooks(&[("before_swap", r#"["sh", "-c", "mkfifo never; cat never"]"#)]));
    let error = site.fails(1, &["swap-live"]);
    assert!(error.contains("hooks.before_swap forbids it") && error.contains("hooks.timeout"), "{error}");
    assert_eq!(site.names(), ("a".into(), "b".into()));
}

#[test]
fn a_hook_after_a_change_cannot_undo_it() {
    let site = Site::ready("plain", "");
    site.configure(&hooks(&[("after_swap", r#"["false"], ["touch", "second"]"#)]));
    let said = site.run(&["swap-live"]);
    assert_eq!((said.code, site.names()), (0, ("b".into(), "a".into())), "{said:?}");
    assert!(said.err.contains("hooks.after_swap failed: false ended with exit status: 1"), "{}", said.err);
    assert!(!site.root().join("../second").exists());
    // A rollback asks nobody, and tells afterwards.
    site.configure(&hooks(&[("before_swap", r#"["false"]"#), ("after_rollback", r#"["false"]"#)]));
    site.ok(&["rollback"]);
    assert_eq!(site.names(), ("a".into(), "b".into()));
}

#[test]
fn a_hook_of_a_killed_command_does_not_run_beside_the_next_one_before_the_same_change() {
    let site = Site::ready("plain", "");
    let waits = r#"["sh", "-c", "echo $$ > waits; exec sleep 86005"]"#;
    let waiting = || fs::read_to_string(site.dir.join("waits")).is_ok_and(|pid| pid.ends_with('\n'));
    let runs = || processes_of(&site).iter().any(|process| process.title == "sleep 86005");
    let kill_at = |hook: &str| {
        drop(fs::remove_file(site.dir.join("waits")));
        site.configure(&format!("\n[hooks]\n{hook} = [{waits}]\n"));
        let mut swap = site.command(&["swap-live"]).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the hook", waiting);
        swap.kill().unwrap();
        swap.wait().unwrap();
        site.configure("");
        assert!(runs());
    };
    kill_at("before_swap");
    site.ok(&["swap-live", "b"]);
    assert!(!runs());
    // What is told afterwards may be about something that nobody tells again.
    kill_at("after_swap");
    site.ok(&["stage", "b"]);
    site.ok(&["swap-live", "a"]);
    assert!(runs());
}
