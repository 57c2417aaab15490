//! Fifty commands at once.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::locks::assert_both_names_serve;
use crate::site::{Ports, Said, Site, get};

/// Starts all commands before it waits for the first, and checks that each ends well, or is refused in clear words.
#[track_caller]
fn at_once(commands: Vec<Command>) -> Vec<Said> {
    let start = |mut command: Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = commands.into_iter().map(start).collect();
    let said: Vec<Said> = children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
    for one in &said {
        let clear = ["error: ", "\n  why: ", "\n next: "].iter().all(|part| one.err.contains(part));
        assert!(one.code == 0 || ([3, 4].contains(&one.code) && clear), "{one:?}");
    }
    said
}

/// How many ended with this code.
fn count(said: &[Said], code: i32) -> usize {
    said.iter().filter(|said| said.code == code).count()
}

#[test]
fn fifty_creates_of_reserved_names_make_fifty_builds() {
    let ports = Ports::row(5);
    let mut site = Site::new("plain", "");
    let own = format!("base_port = {}\n", site.ports.base);
    site.write("builds.toml", &site.read("builds.toml").replace(&own, &format!("base_port = {}\n", ports[0].base)));
    site.start();
    // As an operator's script does it.
    let script = "name=$(\"$0\" find-free --reserve) && \"$0\" create \"$name\"";
    let create = |_| {
        let mut command = Command::new("sh");
        command.args(["-c", script, &site.caller[0]]).current_dir(&site.dir).stdin(Stdio::null());
        command
    };
    let said = at_once((0..50).map(create).collect());
    assert_eq!(count(&said, 0), 50, "{said:?}");
    let made: BTreeSet<&str> = said.iter().map(|said| said.out.split(' ').nth(1).unwrap()).collect();
    assert_eq!(made.len(), 50, "{said:?}");
    let status = site.json(&["status"]);
    let rows = status["builds"].as_array().unwrap();
    let listening = rows.iter().filter(|row| row["state"] == "listening");
    let ports: BTreeSet<u64> = listening.map(|row| row["port"].as_u64().unwrap()).collect();
    assert_eq!((rows.len(), ports.len()), (50, 50), "{status}");
    assert_eq!(site.ok(&["find-free"]), "ay\n", "the first fifty names are used");
}

#[test]
fn a_reserved_name_is_for_whoever_creates_it_and_rm_gives_it_up() {
    let site = Site::up("plain", "");
    assert_eq!(site.ok(&["find-free"]), "a\n");
    assert_eq!(site.ok(&["find-free", "--reserve"]), "a\n");
    let said = site.json(&["find-free", "--reserve"]);
    assert_eq!((&said["build"], &said["changed"]), (&"b".into(), &true.into()));
    assert_eq!(site.ok(&["find-free"]), "c\n");
    assert_eq!(site.status("a")["state"], "incomplete");
    assert!(site.fails(3, &["activate", "a"]).contains("builds create a continues it, builds rm a removes it"));
    site.ok(&["rm", "a"]);
    site.ok(&["create", "b"]);
    assert_eq!(site.status("b")["state"], "listening");
    assert_eq!(site.ok(&["find-free", "--reserve"]), "a\n");
}

#[test]
fn fifty_swaps_and_stages_leave_two_ready_builds_with_a_name() {
    let site = Site::ready("plain", "");
    for name in ["c", "d"] {
        site.ok(&["create", name]);
        site.ok(&["activate", name]);
    }
    let wishes =
        ["swap-live", "swap-live c", "stage d", "swap-live", "stage a", "swap-live b", "stage c", "swap-live d"];
    let commands = wishes.iter().cycle().take(50);
    let said = at_once(commands.map(|wish| site.command(&wish.split(' ').collect::<Vec<_>>())).collect());
    // Only a stage of what is live by then may be refused.
    let refused = said.iter().filter(|said| said.code == 3);
    assert!(
        refused.clone().all(|said| said.err.contains("cannot stage") && said.err.contains("it is live")),
        "{said:?}"
    );
    assert_eq!(count(&said, 0) + refused.count(), 50, "{said:?}");
    assert_both_names_serve(&site, &said);
}

#[test]
fn fifty_who_activate_and_deactivate_a_build_take_turns() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let commands = ["activate", "deactivate"].iter().cycle().take(50);
    let said = at_once(commands.map(|verb| site.command(&["--wait", "600", verb, "a"])).collect());
    assert_eq!(count(&said, 0), 50, "{said:?}");
    assert!(["listening", "ready"].contains(&site.status("a")["state"].as_str().unwrap()));
    site.ok(&["activate", "a"]);
    assert_eq!(site.status("a")["workers"], 2);
    assert_eq!(get(site.port("a"), "/").0, 200);
}
