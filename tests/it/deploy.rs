//! `deploy` makes a build live step by step, and its failures leave live untouched.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::helpers::{GATE, Gate};
use crate::load::{CONFIG, Crowd, Load};
use crate::look::{in_request, worker_pids};
use crate::site::{Site, wait_for};

const STEPS: [&str; 7] = ["create", "migrate", "activate", "warm", "stage", "swap", "retire"];

fn steps(plan: &Value) -> Vec<&str> {
    plan["steps"].as_array().unwrap().iter().map(|planned| planned["step"].as_str().unwrap()).collect()
}

#[test]
fn a_deploy_makes_the_next_build_live() {
    let site = Site::ready("plain", "");
    let dry = site.json(&["deploy", "--tag", "v2", "--dry-run"]);
    assert_eq!(steps(&dry["plan"]), STEPS);
    let said = site.ok(&["deploy", "--tag", "v2", "--dry-run"]);
    assert!(said.contains("\nswap     _live: a → c, _stage: c → a\n"), "{said}");
    assert_eq!((site.names(), site.build("c").exists()), (("a".into(), "b".into()), false));

    let said = site.run(&["deploy", "--tag", "v2", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let events: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["event"], &events[0]["plan"]), (&"plan".into(), &dry["plan"]));
    let told: Vec<String> =
        events[1..events.len() - 1].iter().map(|event| format!("{} {}", event["step"], event["state"])).collect();
    let expected: Vec<String> =
        STEPS.iter().flat_map(|step| ["begun", "done"].map(|state| format!("{step:?} {state:?}"))).collect();
    assert_eq!(told, expected);
    let end = events.last().unwrap();
    assert_eq!(
        (&end["command"], &end["changed"], &end["build"], &end["tag"]),
        (&"deploy".into(), &true.into(), &"c".into(), &"v2".into())
    );
    assert_eq!(site.names(), ("c".into(), "a".into()));
    assert!(site.live("/").1.contains(r#""tag": "v2""#));
    assert!(!site.root().join("deploy.json").exists());
    // The way back is warm.
    assert_eq!(site.status("a")["state"], "warm");

    let said = site.run(&["deploy"]);
    assert_eq!((said.code, site.names()), (0, ("d".into(), "c".into())), "{said:?}");
    // One build that was live is enough for a way back; what was never live is not the deploy's business.
    let states = ["a", "b", "c", "d"].map(|build| site.status(build)["state"].as_str().unwrap().to_owned());
    assert_eq!(states, ["stopped", "warm", "warm", "warm"]);
    let told: Vec<&str> = said.err.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(STEPS.iter().all(|step| told.contains(step)), "{}", said.err);
}

#[test]
fn a_build_that_fails_on_the_way_leaves_the_names_and_live_as_they_were() {
    let site = Site::ready("plain", "");
    let workers = worker_pids(&site, "a");
    site.configure("\n[assets]\ncommands = [[\"sh\", \"-c\", \"echo no glue >&2; exit 3\"]]\n");
    let error = site.fails(1, &["deploy"]);
    assert!(
        error.starts_with("error: the deploy of c stopped at step create\n")
            || error.contains("\nerror: the deploy of c stopped at step create\n"),
        "{error}"
    );
    assert!(error.contains("no glue") && error.contains("live is as it was"), "{error}");
    let reason = site.status("c")["bad"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("its deploy stopped at step create: ") && reason.ends_with("no glue"), "{reason}");
    // Two that fail at once, and one of them is ended before it has told why.
    let two = r#"python -c 'raise KeyError(\"glue\")'; echo 'Traceback (most recent call last):' >&2; exit 3"#;
    site.configure(&format!("\n[assets]\ncommands = [[\"sh\", \"-c\", \"{two}\"]]\n"));
    site.fails(1, &["deploy"]);
    assert!(site.ok(&["list"]).contains(": KeyError: 'glue'\n"), "{}", site.ok(&["list"]));

    // The next one takes the next name, and fails later.
    site.configure("\n[warmup]\nexpect = 204\n");
    let error = site.fails(5, &["deploy"]);
    assert!(
        error.contains("the deploy of e stopped at step warm") && error.contains("/ answered 200, expected 204"),
        "{error}"
    );
    assert_eq!(site.status("e")["state"], "stopped");
    assert_eq!((site.names(), worker_pids(&site, "a")), (("a".into(), "b".into()), workers));
    site.configure("");
    site.ok(&["deploy"]);
    assert_eq!(site.names(), ("f".into(), "a".into()));
}

#[test]
fn a_build_that_never_answers_is_set_aside_all_the_same() {
    let site = Site::ready("plain", "");
    let slow = "paths = [\"/slow?seconds=30\"]\ntimeout = 1\n[uwsgi]\ndrain_timeout = 1\n";
    site.configure(&format!("\n[warmup]\n{slow}"));
    let error = site.fails(5, &["deploy"]);
    assert!(error.contains("stopped at step warm") && error.contains("kept, bad and stopped"), "{error}");
    let row = site.status("c");
    assert_eq!((&row["state"], row["bad"].is_null()), (&"stopped".into(), false));
    site.configure("");
    site.ok(&["deploy"]);
    assert_eq!(site.names(), ("d".into(), "a".into()));

    // Interrupted, it is the operator's to take back.
    site.configure("\n[warmup]\npaths = [\"/slow?seconds=60\"]\n[uwsgi]\ndrain_timeout = 1\n");
    let mut deploy = site.command(&["deploy"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("requests that hang", || in_request(&site, "e") > 0);
    kill(Pid::from_raw(deploy.id() as i32), Signal::SIGINT).unwrap();
    assert!(!deploy.wait().unwrap().success());
    site.ok(&["deploy", "--abort"]);
    assert!(!site.build("e").exists());
    assert_eq!(site.names(), ("d".into(), "a".into()));
}

#[test]
fn a_deploy_that_was_killed_goes_on_or_is_taken_back() {
    let site = Site::ready("plain", "");
    site.configure(GATE);
    let cut = |signal| {
        let gate = Gate::new(&site);
        let mut deploy = gate.run(&["deploy", "--tag", "v2"]);
        kill(Pid::from_raw(deploy.id() as i32), signal).unwrap();
        deploy.wait().unwrap();
        fs::remove_file(site.root().join("gate")).unwrap();
    };
    cut(Signal::SIGKILL);
    let error = site.fails(3, &["deploy"]);
    assert!(error.contains("the deploy of c is not over") && error.contains("builds deploy --resume"), "{error}");
    site.fails(3, &["deploy", "--dry-run"]);
    let left = site.json(&["deploy", "--resume", "--dry-run"]);
    assert_eq!(left["left"].as_array().unwrap().len(), STEPS.len());
    site.configure("");
    site.ok(&["deploy", "--resume"]);
    assert_eq!((site.names(), site.status("c")["tag"].clone()), (("c".into(), "a".into()), "v2".into()));
    let error = site.fails(3, &["deploy", "--resume"]);
    assert!(error.contains("there is no deploy to go on with"), "{error}");

    site.configure(GATE);
    cut(Signal::SIGINT);
    // An earlier way back was killed while it removed the build.
    let doomed = site.build(".removing-d");
    fs::rename(site.build("d"), &doomed).unwrap();
    site.ok(&["deploy", "--abort"]);
    assert_eq!((site.names(), doomed.exists()), (("c".into(), "a".into()), false));
    assert!(site.fails(3, &["deploy", "--abort"]).contains("none was cut short"));
    site.configure("");
    site.ok(&["deploy"]);
    assert_eq!(site.names(), ("d".into(), "c".into()));
}

#[test]
fn a_deploy_does_not_undo_what_another_operator_did_meanwhile() {
    let site = Site::ready("plain", "");
    site.configure(GATE);
    let gate = Gate::new(&site);
    let deploy = gate.run(&["deploy"]);
    site.ok(&["swap-live", "b"]);
    gate.open();
    let said = deploy.wait_with_output().unwrap();
    assert_eq!((said.status.code(), site.names()), (Some(3), ("b".into(), "a".into())));
    let error = site.fails(3, &["deploy", "--resume"]);
    assert!(error.contains("the deploy of c was overtaken") && error.contains("b is live"), "{error}");
    site.ok(&["deploy", "--abort"]);
    assert_eq!(site.names().0, "b");
    assert!(!site.build("c").exists());
}

#[test]
fn a_gate_that_is_closed_stops_a_deploy_before_the_swap() {
    let site = Site::ready("plain", "");
    site.configure("\n[gates]\nbefore_stage = [[\"sh\", \"-c\", \"echo $BUILD_URL > passed\"]]\nbefore_live = [[\"sh\", \"-c\", \"readlink ../_stage; exit 3\"]]\n");
    let plan = site.json(&["deploy", "--dry-run"]);
    assert_eq!(
        steps(&plan["plan"]),
        ["create", "migrate", "activate", "warm", "before_stage", "stage", "before_live", "swap", "retire"]
    );
    let error = site.fails(5, &["deploy"]);
    assert!(
        error.contains("the deploy of c stopped at step gates") && error.contains("gates.before_live is closed"),
        "{error}"
    );
    // It was staged when its second gate was asked, and is so no longer.
    assert!(error.contains("exit status: 3: c\n"), "{error}");
    assert_eq!(
        (site.names(), site.read("deploy/builds/c/passed")),
        (("a".into(), "b".into()), format!("http://127.0.0.1:{}\n", site.port("c")))
    );
    assert_eq!(site.status("c")["state"], "stopped");
    let changes = site.json(&["history"]);
    let changes: Vec<String> = changes["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| format!("{} {}", change["action"], change["build"]))
        .collect();
    assert!(
        changes.ends_with(&[r#""undo" "c""#, r#""stop" "c""#, r#""mark" "c""#, r#""deploy" "c""#].map(str::to_owned)),
        "{changes:?}"
    );
    let error = site.fails(3, &["stage", "c"]);
    assert!(error.contains("build c is bad") && error.contains("its deploy stopped at step gates"), "{error}");
}

#[test]
fn a_deploy_removes_what_need_not_stay() {
    let site = Site::ready("plain", "");
    site.configure("\n[keep]\nbuilds = 0\n");
    for _ in 0..3 {
        site.ok(&["deploy"]);
    }
    let builds: Vec<String> = site.json(&["list"])["builds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["build"].as_str().unwrap().to_owned())
        .collect();
    // Names come back: c, b and a again were live.
    assert_eq!((builds, site.names()), (vec!["a".to_owned(), "b".to_owned()], ("a".into(), "b".into())));
}

#[test]
fn a_deploy_that_does_badly_once_it_is_live_is_taken_back() {
    let site = Site::ready("load", CONFIG);
    let breaks = r#"[["sh", "-c", "printf broken > deploy/builds/$BUILDS_BUILD/fault"]]"#;
    site.configure(&format!("{CONFIG}\n[watch]\nseconds = 60\n\n[hooks]\nafter_swap = {breaks}\n"));
    let error = site.fails(6, &["deploy"]);
    assert!(error.contains("the deploy of c stopped at step watch") && error.contains("a is live again"), "{error}");
    assert_eq!((site.names(), site.status("c")["state"].clone()), (("a".into(), "b".into()), "stopped".into()));
    let reason = site.status("c")["bad"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("answered 500"), "{reason}");
    assert!(!site.root().join("deploy.json").exists());

    site.configure(&format!("{CONFIG}\n[watch]\nseconds = 1\n"));
    let said = site.run(&["deploy"]);
    assert_eq!((said.code, site.names()), (0, ("d".into(), "a".into())), "{said:?}");
    assert!(said.err.contains("\nwatch    "), "{}", said.err);
}

#[test]
fn a_deploy_lets_a_share_of_the_requests_meet_the_build_first() {
    let site = Site::ready("load", CONFIG);
    let breaks = r#"[["sh", "-c", "printf broken > deploy/builds/$BUILDS_BUILD/fault"]]"#;
    site.configure(&format!("{CONFIG}\n[hooks]\nafter_stage = {breaks}\n"));
    let trial = ["deploy", "--canary", "50%", "--for", "1m"];
    let load = Load::start(&[Crowd::at(site.live_port(), 8)]);
    load.await_answers(300);
    let error = site.fails(6, &trial);
    assert!(
        error.contains("the deploy of c stopped at step canary") && error.contains("as a canary it did badly"),
        "{error}"
    );
    assert_eq!(
        (site.names(), site.json(&["canary", "--off"])["changed"].clone()),
        (("a".into(), "b".into()), false.into())
    );

    load.stop();
    site.configure(CONFIG);
    // Of a good one nobody notices anything.
    let load = Load::start(&[Crowd::at(site.live_port(), 8)]);
    load.await_answers(100);
    let said = site.run(&["deploy", "--canary", "50%", "--for", "1s"]);
    load.await_all();
    load.stop().assert_whole();
    assert_eq!((said.code, site.names()), (0, ("d".into(), "a".into())), "{said:?}");
    assert!(said.err.contains("\ncanary   "), "{}", said.err);
    site.unchanged(&["canary", "--off"]);
    site.fails(2, &["deploy", "--canary", "60%", "--for", "1s"]);
    site.fails(2, &["deploy", "--canary", "10%"]);
}

#[test]
fn who_goes_back_during_a_deploy_is_not_overruled() {
    let site = Site::ready("plain", "");
    // The first of them while the hook before the swap runs.
    site.ok(&["swap-live"]);
    let back = |hook: &str| format!("\n[hooks]\n{hook} = [[{:?}, \"rollback\"]]\n", site.caller[0]);
    site.configure(&back("before_swap"));
    let error = site.fails(3, &["deploy"]);
    assert!(error.contains("the deploy of c was overtaken") && error.contains("a is live"), "{error}");
    assert_eq!(site.names().0, "a");
    site.ok(&["deploy", "--abort"]);
    assert_eq!((site.names().0, site.build("c").exists()), ("a".into(), false));

    site.configure("");
    site.ok(&["swap-live", "b"]);
    site.configure(&back("after_swap"));
    let error = site.fails(3, &["deploy"]);
    assert!(error.contains("the deploy of c was overtaken") && error.contains("b is live"), "{error}");
    // What goes on with it would undo the way back, unless somebody says so.
    let error = site.fails(3, &["deploy", "--resume"]);
    assert!(error.contains("the deploy of c was overtaken") && error.contains("builds swap-live c, then"), "{error}");
    site.configure("");
    site.ok(&["swap-live", "c"]);
    site.ok(&["deploy", "--resume"]);
    assert_eq!((site.names(), site.root().join("deploy.json").exists()), (("c".into(), "b".into()), false));
}

#[test]
fn a_deploy_that_is_given_up_leaves_alone_what_is_not_its_own() {
    let site = Site::ready("plain", "");
    site.configure("\n[gates]\nbefore_live = [[\"sh\", \"-c\", \"kill -9 $PPID\"]]\n");
    site.run(&["deploy"]);
    assert_eq!(site.names(), ("a".into(), "c".into()));
    // The build that was staged before it is gone, and the new one is another one.
    site.ok(&["rm", "b"]);
    site.ok(&["create", "b"]);
    site.ok(&["stage", "b"]);
    site.ok(&["rm", "c"]);
    let later = "import sys, json; made = json.load(open('deploy/deploy.json')); made['made'] = 1; json.dump(made, open('deploy/deploy.json', 'w'))";
    site.ok(&["create", "c"]);
    crate::helpers::shell(std::process::Command::new("python3").args(["-c", later]).current_dir(&site.dir));
    assert!(site.fails(3, &["deploy", "--resume"]).contains("build c is not the one that was to be deployed"));
    site.ok(&["deploy", "--abort"]);
    assert_eq!((site.names(), site.build("c").exists()), (("a".into(), "b".into()), true));
}

/// Ends the command that runs it, as a power cut does.
const CUT: &str = r#"[["sh", "-c", "kill -9 $PPID"]]"#;

#[test]
fn a_rollback_after_a_deploy_that_was_killed_at_its_swap_stays() {
    let site = Site::ready("plain", "");
    for (build, is_written) in [("c", true), ("d", false)] {
        site.configure(&format!("\n[hooks]\nafter_swap = {CUT}\n"));
        site.run(&["deploy"]);
        assert_eq!(site.names(), (build.into(), "a".into()));
        if !is_written {
            // It was killed before it could write down what it had done.
            let history = site.read("deploy/history.jsonl");
            let end = history.trim_end().rfind('\n').unwrap() + 1;
            assert!(history[end..].contains(r#""action":"swap""#), "{}", &history[end..]);
            site.write("deploy/history.jsonl", &history[..end]);
        }
        site.configure("");
        site.ok(&["rollback"]);
        let error = site.fails(3, &["deploy", "--resume"]);
        let expected = format!("the deploy of {build} was overtaken\n  why: a is live: another command");
        assert!(error.contains(&expected), "{error}");
        site.ok(&["deploy", "--abort"]);
        assert_eq!((site.names().0, site.build(build).exists()), ("a".into(), false));
        // The next one has a name of its own.
        site.write("deploy/assets/static/c/kept", "");
    }
}

#[test]
fn a_deploy_that_was_killed_between_the_names_and_nginx_is_served_in_the_end() {
    let site = Site::ready("plain", "\n[nginx]\nupstream = \"port\"\n");
    site.configure(&format!("\n[nginx]\nupstream = \"port\"\n\n[gates]\nbefore_live = {CUT}\n"));
    site.run(&["deploy"]);
    for (link, build) in [("_stage", "a"), ("_live", "c")] {
        let link = site.root().join("builds").join(link);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(build, link).unwrap();
    }
    assert!(site.live("/").1.contains(r#""build": "a""#));
    site.configure("\n[nginx]\nupstream = \"port\"\n");
    site.ok(&["deploy", "--resume"]);
    assert_eq!(site.names(), ("c".into(), "a".into()));
    assert!(site.live("/").1.contains(r#""build": "c""#), "{}", site.live("/").1);
}

#[test]
fn a_build_that_is_live_stays_so_whatever_a_disk_does() {
    let site = Site::ready("plain", "");
    let hook = |command: &str| format!("\n[hooks]\nafter_swap = [[\"sh\", \"-c\", \"{command}\"]]\n");
    site.configure(&hook("cd deploy; rm deploy.json; mkdir -p deploy.json/full"));
    let said = site.run(&["deploy"]);
    assert_eq!((said.code, site.names()), (0, ("c".into(), "a".into())), "{said:?}");
    let warning = format!("cannot remove {}: ", site.root().join("deploy.json").display());
    assert!(said.err.contains(&warning) && said.err.contains("all else is done"), "{}", said.err);
    fs::remove_dir_all(site.root().join("deploy.json")).unwrap();

    // That nobody can look is no fault of the build's.
    let watch = "\n[watch]\nseconds = 1\n";
    site.configure(&(hook("cd deploy/logs; rm requests.json; mkdir requests.json") + watch));
    let error = site.fails(1, &["deploy"]);
    assert!(error.contains("the deploy of d stopped at step watch; d is live\n"), "{error}");
    assert!(error.contains("builds deploy --resume goes on"), "{error}");
    fs::remove_dir(site.root().join("logs/requests.json")).unwrap();
    assert_eq!((site.names(), &site.status("d")["bad"]), (("d".into(), "c".into()), &Value::Null));
    site.configure(watch);
    site.ok(&["deploy", "--resume"]);
    assert_eq!(site.names(), ("d".into(), "c".into()));
}
