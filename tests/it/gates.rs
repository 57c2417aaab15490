//! `[gates]`: commands that a build must pass.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::look::processes_of;
use crate::site::{Site, wait_for};

/// A site whose build a runs, with these gates.
fn running(gates: &str) -> Site {
    let site = Site::up("plain", &format!("\n[gates]\n{gates}\n"));
    site.ok(&["create", "a", "--tag", "v7"]);
    site.ok(&["activate", "a"]);
    site
}

#[test]
fn gates_run_in_the_build_and_know_where_it_answers() {
    let tells =
        r#"["sh", "-c", "echo $BUILD_NAME $BUILD_TAG $PWD >> ../../told; curl -sf $BUILD_URL/hello >> ../../told"]"#;
    let site = running(&format!(
        "before_stage = [{tells}]\nbefore_live = [[\"true\"], [\"sh\", \"-c\", \"echo live >> ../../told\"]]"
    ));
    assert_eq!(site.ok(&["gates", "a"]), "build a has passed 3 commands\n");
    let told = site.read("deploy/told");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], format!("a v7 {}", site.build("a").display()));
    assert!(lines[1].contains(r#""build": "a""#) && lines[1].contains("/hello"), "{told}");
    assert!(lines[1].ends_with("live"), "before_live comes after before_stage: {told}");

    fs::remove_file(site.root().join("told")).unwrap();
    let said = site.json(&["gates", "a", "--before", "live"]);
    assert_eq!(said["passed"][1]["command"][2], "echo live >> ../../told", "{said}");
    assert_eq!(
        (said["passed"][0]["gate"].as_str(), said["passed"].as_array().unwrap().len()),
        (Some("before_live"), 2)
    );
    assert_eq!(site.read("deploy/told"), "live\n");
}

#[test]
fn a_command_that_fails_closes_the_gate() {
    let site = running(
        "before_stage = [[\"sh\", \"-c\", \"echo no milk; echo no sugar >&2; exit 7\"], [\"touch\", \"../../later\"]]",
    );
    let said = site.fails(5, &["gates", "a"]);
    assert!(said.contains("build a is unhealthy: gates.before_stage is closed: sh -c echo no milk"), "{said}");
    assert!(said.contains("ended with exit status: 7") && said.contains("why: no milk\n       no sugar"), "{said}");
    let log = site.root().join("logs/a.gate-before_stage.log");
    assert!(said.contains(&format!("all of the output is in {}", log.display())), "{said}");
    assert!(said.contains("builds gates a --before stage tries again"), "{said}");
    assert_eq!(fs::read_to_string(log).unwrap(), "no milk\nno sugar\n");
    assert!(!site.root().join("later").exists(), "nothing runs after a command that has failed");

    for (gates, expected) in [
        ("before_live = [[\"no-such-program\"]]", "cannot run no-such-program"),
        ("timeout = 1\nbefore_live = [[\"sleep\", \"86005\"]]", "sleep 86005 did not end within 1 s"),
    ] {
        site.configure(&format!("\n[gates]\n{gates}\n"));
        let said = site.fails(5, &["gates", "a"]);
        assert!(said.contains(expected) && said.contains("gates.before_live is closed"), "{said}");
    }
    assert!(site.fails(5, &["gates", "a"]).contains("gates.timeout in builds.toml lets it take longer"));
    assert!(processes_of(&site).iter().all(|process| !process.title.contains("86005")));
}

#[test]
fn only_a_build_with_workers_is_examined() {
    let site = running("before_live = [[\"true\"]]");
    site.ok(&["deactivate", "a"]);
    let said = site.fails(3, &["gates", "a"]);
    assert!(said.contains("build a is not active") && said.contains("next: builds activate a"), "{said}");
    site.fails(3, &["gates"]);
    site.fails(2, &["gates", "b"]);
    assert_eq!(site.run(&["gates", "a", "--before", "noon"]).code, 2);
    site.configure("");
    assert!(site.ok(&["gates", "a"]).starts_with("no gate for build a"));
}

#[test]
fn ctrl_c_ends_a_gate_and_what_it_started() {
    let site = running("before_live = [[\"sh\", \"-c\", \"(sleep 86006 & wait) & echo > ../../started; wait\"]]");
    let heard = site.dir.with_extension("heard");
    let mut gates = site.command(&["gates", "a"]);
    let mut gates = gates.stdout(Stdio::null()).stderr(File::create(&heard).unwrap()).spawn().unwrap();
    wait_for("the gate at work", || site.root().join("started").exists());
    kill(Pid::from_raw(gates.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(gates.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    let said = fs::read_to_string(&heard).unwrap();
    fs::remove_file(heard).unwrap();
    assert!(said.contains("error: interrupted by SIGINT") && !said.contains("is closed"), "{said}");
    assert!(processes_of(&site).iter().all(|process| !process.title.contains("86006")));
    // The build serves on, and its lock is free.
    site.unchanged(&["activate", "a"]);
}
