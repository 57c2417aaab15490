//! What a person sees of a create, and the record that stays of it.

use std::fs;

use serde_json::Value;

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

fn manifest(site: &Site, build: &str) -> Value {
    serde_json::from_str(&site.read(&format!("deploy/builds/{build}/build.json"))).unwrap()
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
    assert!(line(&said, "python").contains("1 packages, first time"), "{said:?}");

    let said = site.run(&["create", "b"]);
    assert!(line(&said, "python").contains("1 packages, reused"), "{said:?}");
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
