//! `rollback`: back to what was live before, whatever has happened since.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::history::changes;
use crate::load::{Crowd, Load};
use crate::locks::hold;
use crate::look::{names, shown};
use crate::proof::operations;
use crate::site::{Site, wait_for};

/// A site on which a, b and c were live in this order; c is, and b is staged.
fn after_three() -> Site {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    site.ok(&["swap-live"]);
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    assert_eq!(site.names(), names("c", "b"));
    site
}

#[test]
fn each_rollback_goes_one_build_further_back_and_only_by_name_forward() {
    let site = after_three();
    assert_eq!(site.ok(&["rollback"]), "build b is live again; c is staged\n");
    assert_eq!((site.names(), shown(&site)), (names("b", "c"), "b".into()));
    let said = site.json(&["rollback"]);
    let expected = json!({"command": "rollback", "changed": true, "live": "a", "stage": "b", "nginx_reloaded": false,
        "skipped": []});
    assert_eq!(said, expected);
    let error = site.fails(3, &["rollback"]);
    assert!(error.contains("no build is left to roll back to") && error.contains("builds rollback NAME"), "{error}");
    assert_eq!(site.ok(&["rollback", "a"]), "build a was live already\n");
    site.ok(&["freeze", "black friday"]);
    assert_eq!(site.ok(&["rollback", "c"]), "build c is live again; a is staged\n");
    assert_eq!((site.names(), shown(&site)), (names("c", "a"), "c".into()));
    site.ok(&["thaw"]);
    // From a deploy after a rollback one comes back to what was live then.
    site.ok(&["create", "d"]);
    site.ok(&["stage", "d"]);
    site.ok(&["swap-live"]);
    assert_eq!(site.ok(&["rollback"]), "build c is live again; d is staged\n");
    let told: Vec<(String, String)> = changes(&site)
        .iter()
        .filter(|change| change["action"] == "rollback")
        .map(|change| (change["build"].as_str().unwrap_or("-").into(), change["result"].as_str().unwrap().into()))
        .collect();
    let told: Vec<String> = told.iter().map(|(build, result)| format!("{build} {result}")).collect();
    assert_eq!(told, ["b done", "a done", "- refused", "c done", "c done"]);
}

#[test]
fn what_cannot_be_live_is_passed_over_and_told() {
    let site = after_three();
    site.ok(&["create", "d"]);
    site.ok(&["stage", "d"]);
    site.ok(&["swap-live"]);
    site.ok(&["mark", "c", "--bad", "500 at /cart"]);
    site.ok(&["stop", "a"]);
    site.ok(&["rm", "b"]);
    for (build, why) in [("c", "500 at /cart"), ("b", "there is no build b")] {
        let code = if build == "b" { 2 } else { 3 };
        assert!(site.fails(code, &["rollback", build]).contains(why), "{build}");
    }
    let said = site.run(&["rollback"]);
    assert_eq!((said.code, said.out.as_str()), (0, "build a is live again; d is staged\n"), "{said:?}");
    let (c, b) = (said.err.find("passed over c: it is bad: 500 at /cart\n"), said.err.find("passed over b: it is not"));
    assert!(c.is_some() && c < b, "{said:?}");
    // It was stopped.
    assert_eq!((shown(&site), &site.status("a")["state"]), ("a".into(), &"warm".into()));
    let error = site.fails(3, &["rollback"]);
    assert!(error.contains("why: the history knows no other build that was live"), "{error}");
}

#[test]
fn a_new_build_of_an_old_name_is_not_what_was_live() {
    let site = after_three();
    for build in ["a", "b"] {
        site.ok(&["create", "d"]);
        site.ok(&["stage", "d"]);
        site.ok(&["rm", build]);
        site.ok(&["create", build]);
        site.ok(&["stage", build]);
        site.ok(&["rm", "d"]);
    }
    let error = site.fails(3, &["rollback"]);
    assert!(error.contains("b: it was made anew since; a: it was made anew since"), "{error}");
    let error = site.fails(3, &["rollback", "b"]);
    assert!(error.contains("build b was never live") && error.contains("builds swap-live b"), "{error}");
    assert_eq!(site.names().0, "c");
}

#[test]
fn a_role_that_nobody_has_is_no_target() {
    let site = after_three();
    fs::remove_file(site.root().join("builds/_stage")).unwrap();
    assert!(site.fails(3, &["rollback", "stage"]).contains("no build is stage"));
    assert_eq!(site.ok(&["rollback"]), "build b is live again; c is staged\n");
}

#[test]
fn a_target_that_does_not_load_leaves_live_as_it_is() {
    let site = after_three();
    site.ok(&["stop", "a"]);
    fs::remove_file(site.build("a").join("wsgi.py")).unwrap();
    fs::write(site.build("a").join("wsgi.py"), "import no_such_module\n").unwrap();
    let error = site.fails(5, &["rollback", "a"]);
    assert!(error.contains("No module named 'no_such_module'"), "{error}");
    assert_eq!((site.names(), shown(&site)), (names("c", "b"), "c".into()));
    assert_eq!(changes(&site).last().unwrap()["result"], "failed");
}

#[test]
fn a_damaged_live_build_is_no_hindrance() {
    let site = after_three();
    fs::write(site.build("c").join("build.json"), "{").unwrap();
    site.fails(3, &["swap-live"]);
    let said = site.run(&["rollback"]);
    assert_eq!((said.code, said.out.as_str()), (0, "build b is live again; a is staged\n"), "{said:?}");
    assert!(said.err.contains("build c, which was live, is damaged; a is staged in its place"), "{said:?}");
    assert_eq!((site.names(), shown(&site)), (names("b", "a"), "b".into()));

    // Gone as a whole, and nothing else to stage.
    site.ok(&["swap-live"]);
    site.ok(&["swap-live"]);
    fs::rename(site.build("b"), site.root().join("lost")).unwrap();
    fs::rename(site.build("c"), site.root().join("lost-too")).unwrap();
    let said = site.run(&["rollback"]);
    assert_eq!((said.code, site.names()), (0, names("a", "b")), "{said:?}");
    assert!(said.err.contains("build b, which is staged now, is damaged, and there is no other"), "{said:?}");
    assert_eq!(shown(&site), "a");
}

#[test]
fn prune_keeps_what_a_rollback_leads_to() {
    let site = after_three();
    site.ok(&["create", "d"]);
    site.ok(&["stage", "d"]);
    let said = site.json(&["prune", "--keep=0"]);
    let rows = said["builds"].as_array().unwrap_or_else(|| panic!("{said}"));
    let told: Vec<_> = rows.iter().map(|row| (row["build"].as_str().unwrap(), &row["goes"])).collect();
    let (goes, stays) = (&Value::Bool(true), &Value::Bool(false));
    assert_eq!(told, [("a", goes), ("b", stays), ("c", stays), ("d", stays)], "{said}");
    assert_eq!(rows[1]["reason"], "a rollback goes to it", "{said}");
    assert_eq!(site.ok(&["rollback"]), "build b is live again; c is staged\n");
}

#[test]
fn a_canary_ends_with_the_build_that_it_stood_beside() {
    let site = after_three();
    site.ok(&["create", "d"]);
    site.ok(&["canary", "d"]);
    assert_eq!(site.ok(&["rollback"]), "build b is live again; c is staged\n");
    site.unchanged(&["canary", "--off"]);
    assert_eq!(shown(&site), "b");
}

#[test]
fn swaps_and_rollbacks_at_once_take_turns() {
    let site = after_three();
    site.ok(&["activate", "a"]);
    let wishes = ["rollback", "swap-live", "rollback a", "rollback b", "swap-live c"];
    let start = |wish: &&str| {
        let mut command = site.command(&wish.split(' ').collect::<Vec<_>>());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let commands: Vec<_> = wishes.iter().cycle().take(20).map(start).collect();
    for command in commands {
        let said = command.wait_with_output().unwrap();
        let error = String::from_utf8(said.stderr).unwrap();
        let spent = said.status.code() == Some(3) && error.contains("no build is left to roll back to");
        assert!(said.status.success() || spent, "{error}");
    }
    // What the history says is what happened: each begins where the one before it ended.
    let moved: Vec<Value> =
        changes(&site).into_iter().filter(|change| !change["to"]["live"].is_null()).skip(1).collect();
    assert!(moved.windows(2).all(|pair| pair[0]["to"] == pair[1]["from"]), "{moved:?}");
    assert!(!moved.iter().any(|change| change["action"] == "found"), "{moved:?}");
    assert_eq!(shown(&site), site.names().0);
}

#[test]
fn a_rollback_that_was_overtaken_looks_again() {
    let site = after_three();
    site.ok(&["activate", "a"]);
    let build = hold(&site, "build-b.lock");
    let heard = site.dir.join("heard");
    let mut rollback = site.command(&["rollback"]);
    let mut rollback = rollback.stdout(Stdio::null()).stderr(fs::File::create(&heard).unwrap()).spawn().unwrap();
    wait_for("the wait", || fs::read_to_string(&heard).unwrap().contains("waiting for build b"));
    site.ok(&["rollback", "a"]);
    drop(build);
    assert_eq!(rollback.wait().unwrap().code(), Some(3), "from a there is no way back");
    assert_eq!(site.names(), names("a", "c"));
}

#[test]
fn no_request_fails_through_rollbacks() {
    let site = operations::site("");
    let load = Load::start(&[Crowd { slow: 2, ..Crowd::at(site.live_port(), 64) }]);
    for _ in 0..5 {
        operations::swaps(&site, 1);
        site.ok(&["rollback"]);
    }
    load.await_all();
    let seen = load.stop();
    seen.assert_whole();
    assert_eq!(seen.builds.len(), 2, "{:?}", seen.builds);
}

#[test]
fn a_killed_rollback_is_followed_by_one_to_the_same_build_by_name() {
    let site = after_three();
    // Killed behind the exchange, before it wrote down what it did.
    let trace = site.dir.with_extension("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", trace.to_str().unwrap(), "-e", "trace=write", "-e", "inject=write:signal=KILL"]);
    strace.arg("-P").arg(site.root().join("history.jsonl")).args(&site.caller).arg("rollback");
    assert!(!strace.current_dir(&site.dir).status().unwrap().success());
    fs::remove_file(trace).unwrap();
    assert_eq!(site.names(), names("b", "c"));

    assert_eq!(site.ok(&["rollback", "b"]), "build b was live already\n");
    let found = changes(&site).pop().unwrap();
    assert_eq!((&found["action"], &found["to"]["live"]), (&"found".into(), &"b".into()));
    assert!(found["reason"].as_str().unwrap().contains("(builds rollback) was killed while it held"), "{found}");
    // Never on to what was left.
    assert_eq!(site.ok(&["rollback"]), "build a is live again; b is staged\n");
    wait_for("build a at the live server", || shown(&site) == "a");
}
