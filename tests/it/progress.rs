//! The lines that a create leaves, and the record that stays of it. What moves is in `terminal.rs`.

use std::fs;

use serde_json::Value;

use crate::look::manifest;
use crate::site::{Said, Site};

/// Requirements that need no compiler and no network.
const TWO: &str = "asgiref\nsqlparse\n";

fn site() -> Site {
    let site = Site::up("plain", "");
    site.write("requirements.txt", "asgiref\n");
    site
}

/// The line of a step.
#[track_caller]
fn line<'a>(said: &'a Said, step: &str) -> &'a str {
    let mut lines = said.err.lines().filter(|line| line.split(' ').next() == Some(step));
    lines.next().unwrap_or_else(|| panic!("no line of {step}: {}", said.err))
}

#[test]
fn each_step_has_a_plain_line_with_its_time_and_why_nothing_was_reused() {
    let site = site();
    let said = site.run(&["create", "a"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.err.contains(['\r', '\u{1b}']), "{said:?}");
    let (steps, total) = said.err.trim_end().rsplit_once('\n').unwrap();
    for step in steps.lines() {
        let time =
            step.strip_suffix(" s)").and_then(|line| line.rsplit_once(" (")).map(|(_, time)| time.parse::<f64>());
        assert!(matches!(time, Some(Ok(0.0..))), "{step}\n{said:?}");
    }
    let names: Vec<&str> = steps.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in ["source", "python", "bytecode", "links", "conf", "sync", "listen"] {
        assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name}: {steps}");
    }
    assert!(
        total.starts_with("total    ") && total.contains(" s; ") && total.ends_with(" written, 0 B shared"),
        "{total}"
    );
    assert!(line(&said, "python").contains("1 package, first time"), "{said:?}");

    let said = site.run(&["create", "b"]);
    assert!(line(&said, "python").contains("1 package, reused"), "{said:?}");
    assert!(!line(&said, "total").ends_with(" 0 B shared"), "{said:?}");
    site.write("requirements.txt", TWO);
    let said = site.run(&["create", "c"]);
    assert!(line(&said, "python").contains(", requirements.txt changed: 1 of 2 wheels"), "{said:?}");
    let said = site.run(&["create", "d", "--fresh"]);
    assert!(line(&said, "python").contains("2 packages, --fresh"), "{said:?}");
}

#[test]
fn the_manifest_tells_when_each_step_ran_and_what_was_shared() {
    let site = site();
    site.ok(&["create", "a"]);
    let document = site.json(&["create", "b"]);
    let made = manifest(&site, "b");
    assert_eq!(document["manifest"], made);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{made}"));
    let total = number(&made["seconds"]);
    let steps = made["steps"].as_array().unwrap();
    for step in steps {
        assert!(number(&step["began"]) >= 0.0 && number(&step["began"]) + number(&step["seconds"]) <= total, "{made}");
    }
    let began = |name| number(&steps.iter().find(|step| step["name"] == name).unwrap()["began"]);
    assert!(began("source") < began("python") && began("python") < began("sync") && began("sync") < began("listen"));
    let parts = ["written", "shared"].map(|part| made[part].as_u64().unwrap());
    assert!(parts[0] > 0 && parts[1] > 0, "{made}");
    assert_eq!(parts[0] + parts[1], made["bytes"].as_u64().unwrap() + made["static_bytes"].as_u64().unwrap());
    assert_eq!((made["wheels"].as_array().unwrap().len(), &made["npm"]), (1, &Value::Array(Vec::new())));
    assert_eq!(made["digests"]["python"].as_str().unwrap().len(), 64);
    assert!(made["uwsgi"].is_string() && made["python"].is_string(), "{made}");

    // One that an older version has written.
    let mut old = made;
    for key in ["seconds", "written", "shared", "digests", "wheels", "npm", "uwsgi"] {
        old.as_object_mut().unwrap().remove(key);
    }
    old["steps"].as_array_mut().unwrap().iter_mut().for_each(|step| _ = step.as_object_mut().unwrap().remove("began"));
    fs::write(site.build("b").join("build.json"), old.to_string()).unwrap();
    assert_eq!(site.status("b")["state"], "listening");
    site.ok(&["archive", "b", "--basis", "a"]);
}

#[test]
fn timings_are_a_trace_in_which_what_ran_at_once_is_in_different_rows() {
    let site = site();
    site.ok(&["create", "a", "--timings", "a.json"]);
    site.ok(&["create", "b", "--timings", site.root().join("b.json").to_str().unwrap()]);
    let total = manifest(&site, "b")["seconds"].as_f64().unwrap() * 1e6;
    let events = |path: &str| -> Vec<Value> {
        let trace: Value = serde_json::from_str(&site.read(path)).unwrap();
        let events = trace["traceEvents"].as_array().unwrap().clone();
        events.into_iter().filter(|event| event["ph"] == "X").collect()
    };
    let (first, second) = (events("a.json"), events("deploy/b.json"));
    let of = |events: &[Value], name: &str| {
        let mut all = events.iter().filter(|event| event["name"] == name);
        let event = all.next().unwrap_or_else(|| panic!("no {name}: {events:?}")).clone();
        assert!(all.next().is_none(), "{events:?}");
        let number = |key: &str| event[key].as_u64().unwrap();
        (number("ts"), number("ts") + number("dur"), number("tid"), event["args"].clone())
    };
    for name in ["source", "python", "bytecode", "node", "links", "conf", "assets", "sync", "listen"] {
        let (began, ended, _, _) = of(&second, name);
        assert!(began <= ended && ended as f64 <= total, "{name}: {second:?}");
    }
    let reused = |events: &[Value]| of(events, "python").3["reused"].clone();
    assert_eq!((reused(&first), reused(&second)), (false.into(), true.into()));
    assert!(of(&first, "python").3["note"].as_str().unwrap().contains("first time"), "{first:?}");
    for events in [&first, &second] {
        let spans: Vec<_> = events.iter().map(|event| of(events, event["name"].as_str().unwrap())).collect();
        let pairs = spans.iter().enumerate().flat_map(|(at, one)| spans[..at].iter().map(move |other| (one, other)));
        let overlaps: Vec<_> = pairs.filter(|(one, other)| one.0 < other.1 && other.0 < one.1).collect();
        assert!(overlaps.iter().all(|(one, other)| one.2 != other.2), "{overlaps:?}");
    }
    let (python, bytecode) = (of(&first, "python"), of(&first, "bytecode"));
    assert!(python.0 < bytecode.1 && bytecode.0 < python.1 && python.2 != bytecode.2, "{first:?}");
}

#[test]
fn a_create_that_fails_leaves_its_timings_and_a_file_that_cannot_be_written_is_told_first() {
    let site = Site::up("plain", "\n[assets]\ncommands = [[\"false\"]]\n");
    let said = site.fails(1, &["create", "a", "--timings", "no/such/a.json"]);
    assert!(said.contains("error: cannot write ") && said.contains("no/such/a.json"), "{said}");
    assert!(!site.build("a").exists());
    site.fails(1, &["create", "a", "--timings", "a.json"]);
    let trace: Value = serde_json::from_str(&site.read("a.json")).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    // Another step that ran meanwhile may have been stopped.
    let assets = events.iter().find(|event| event["name"] == "assets").unwrap_or_else(|| panic!("{trace}"));
    assert_eq!(assets["args"]["failed"], true, "{trace}");
    assert!(assets["args"]["note"].as_str().unwrap().starts_with("false ended with"), "{trace}");
    assert!(events.iter().any(|event| event["name"] == "source" && event["args"]["failed"] == false), "{trace}");
}
