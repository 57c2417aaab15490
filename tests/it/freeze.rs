//! `freeze` and `thaw`: nobody deploys meanwhile, and everybody is told why.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::history::changes;
use crate::look::names;
use crate::site::{Site, wait_for};

#[test]
fn a_frozen_site_moves_no_name_but_back() {
    let site = Site::ready("plain", "");
    site.ok(&["swap-live"]);
    site.ok(&["create", "c"]);
    let said = site.json(&["freeze", "black\nfriday"]);
    assert_eq!((&said["changed"], &said["frozen"]["reason"]), (&true.into(), &"black friday".into()), "{said}");
    let said = site.ok(&["freeze", "another"]);
    assert!(said.starts_with("the site was frozen already by ") && said.ends_with(": black friday\n"), "{said}");

    for args in [&["swap-live"][..], &["stage", "c"], &["swap-live", "c"]] {
        let said = site.fails(3, args);
        assert!(
            said.starts_with("error: the site is frozen\n  why: by ") && said.contains(": black friday\n"),
            "{said}"
        );
        assert!(
            said.ends_with(" next: builds thaw, when whoever froze it agrees; builds rollback goes back\n"),
            "{said}"
        );
    }
    // Nothing was begun.
    assert_eq!((site.names(), &site.status("c")["state"]), (("b".into(), "a".into()), &"listening".into()));
    for args in [&["init"][..], &["swap-live", "b"], &["activate", "c"], &["restart", "live"], &["rm", "c"]] {
        site.ok(args);
    }
    let status = site.json(&["status"]);
    assert_eq!(status["frozen"]["reason"], "black friday", "{status}");
    let shown = site.ok(&["status"]);
    assert!(shown.lines().last().unwrap().starts_with("frozen by "), "{shown}");

    assert_eq!(site.ok(&["thaw"]), "the site is thawed\n");
    assert_eq!(site.ok(&["thaw"]), "the site was not frozen\n");
    assert_eq!(site.json(&["status"])["frozen"], Value::Null);
    site.ok(&["swap-live"]);
    let told: Vec<Value> = changes(&site).into_iter().filter(|change| change["build"].is_null()).collect();
    let told: Vec<_> = told.iter().map(|change| (change["action"].as_str(), change["reason"].as_str())).collect();
    assert_eq!(told, [(Some("freeze"), Some("black friday")), (Some("thaw"), None)]);
}

#[test]
fn a_damaged_freeze_freezes_still() {
    let site = Site::ready("plain", "");
    site.write("deploy/freeze.json", "{\"at\": 17");
    let said = site.fails(3, &["swap-live"]);
    assert!(said.contains("freeze.json is damaged"), "{said}");
    site.ok(&["thaw"]);
    site.ok(&["swap-live"]);
}

#[test]
fn init_does_not_begin_what_it_may_not_end() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    site.ok(&["freeze", "the database moves"]);
    let said = site.fails(3, &["init"]);
    assert!(said.contains("the database moves"), "{said}");
    assert_eq!(site.json(&["list"])["builds"].as_array().unwrap().len(), 1);
    site.ok(&["thaw"]);
    site.ok(&["init"]);
}

#[test]
fn a_freeze_waits_for_who_moves_the_names() {
    let site = Site::ready("plain", "");
    let mut slow = Command::new("strace");
    slow.args(["-f", "-o", "/dev/null", "-e", "trace=renameat2", "-e", "inject=renameat2:delay_enter=1000000"]);
    let mut slow =
        slow.args(&site.caller).arg("swap-live").current_dir(&site.dir).stdout(Stdio::null()).spawn().unwrap();
    wait_for("its lock", || site.read("deploy/run/names.lock").contains("swap-live"));
    site.ok(&["freeze", "now"]);
    assert_eq!(site.names(), names("b", "a"));
    assert!(slow.wait().unwrap().success());
}

#[test]
fn no_swap_comes_after_a_freeze() {
    let site = Site::ready("plain", "");
    let start = |args: &&[&str]| site.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (swap, freeze) = (&["swap-live"][..], &["freeze", "now"][..]);
    let commands: Vec<_> = [swap, swap, freeze].iter().chain([swap; 10].iter()).map(start).collect();
    let codes: Vec<_> = commands.into_iter().map(|mut command| command.wait().unwrap().code().unwrap()).collect();
    assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    let told = changes(&site);
    let after: Vec<_> = told.iter().skip_while(|change| change["action"] != "freeze").skip(1).collect();
    assert!(after.iter().all(|change| change["result"] == "refused"), "{told:?}");
}
