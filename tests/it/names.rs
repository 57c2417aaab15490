//! Names and ports: what is one, which is free, and what is in the way.

use std::fs;
use std::os::unix::fs::symlink;

use crate::helpers::listing;
use crate::site::Site;

/// Every command that takes a name; `--basis` is the one of `archive`.
const VERBS: [&str; 13] = [
    "create",
    "activate",
    "deactivate",
    "stop",
    "stage",
    "warmup",
    "swap-live",
    "rm",
    "archive",
    "--basis",
    "port",
    "run",
    "shell",
];

/// The command line for a name that is not an option, whatever it begins with.
fn with<'a>(verb: &'a str, name: &'a str) -> Vec<&'a str> {
    match verb {
        "--basis" => vec!["archive", "a", "--basis", name],
        "run" => vec!["run", name, "--", "true"],
        verb => vec![verb, "--", name],
    }
}

#[test]
fn what_is_no_name_is_refused_by_every_command() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let before = listing(&site.root(), &["run", "builds/a/run", "logs"]);
    let long = "a".repeat(300);
    for verb in VERBS {
        let mut names = vec!["A", "_live", "../x", "a/b", "a1", "", &long, "é", "a ", "a\n", ".", "a;b", "aaaaaaa"];
        if with(verb, "")[1] == "--" {
            names.push("-h");
        }
        for bad in names {
            let said = site.fails(2, &with(verb, bad));
            let rule = "a build is named by one to six letters a to z, or as live or stage";
            assert!(said.contains("is no build name") && said.contains(rule), "{verb} {bad:?}: {said}");
            assert!(said.contains("builds find-free"), "{verb} {bad:?}: {said}");
            assert!(said.len() < 400, "{verb}: {said}");
        }
    }
    assert_eq!(listing(&site.root(), &["run", "builds/a/run", "logs"]), before);
}

#[test]
fn a_role_is_no_name_for_what_makes_or_deletes() {
    let site = Site::new("plain", "");
    for (verb, name) in [("create", "live"), ("create", "stage"), ("rm", "live"), ("rm", "stage")] {
        assert!(site.fails(2, &[verb, name]).contains("is no build name"), "{verb} {name}");
    }
}

#[test]
fn a_build_that_is_not_there_is_refused_by_every_command() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    for verb in VERBS.into_iter().filter(|&verb| !["create", "port"].contains(&verb)) {
        let said = site.fails(2, &with(verb, "q"));
        assert!(said.contains("there is no build q") && said.contains("builds list"), "{verb}: {said}");
    }
    for verb in ["activate", "swap-live", "port", "run", "shell", "--basis"] {
        let said = site.fails(3, &with(verb, "live"));
        assert!(said.contains("no build is live") && said.contains("builds init"), "{verb}: {said}");
    }
    assert!(site.fails(3, &["warmup"]).contains("no build is stage"));
}

#[test]
fn the_first_name_that_nothing_uses_is_free() {
    let site = Site::up("plain", "\n[assets]\ncommands = [[\"false\"]]\n");
    assert_eq!(site.ok(&["find-free"]), "a\n");
    site.fails(1, &["create", "a"]);
    assert_eq!(site.ok(&["find-free"]), "b\n", "an incomplete build has its name");
    let builds = site.root().join("builds");
    fs::create_dir(builds.join("b")).unwrap();
    fs::write(builds.join("c"), "").unwrap();
    symlink("nowhere", builds.join("d")).unwrap();
    fs::create_dir_all(site.root().join("assets/static/e")).unwrap();
    fs::create_dir(builds.join("Foo")).unwrap();
    fs::write(builds.join("note.txt"), "").unwrap();
    assert_eq!(site.ok(&["find-free"]), "f\n");
    assert_eq!(site.json(&["find-free"]), serde_json::json!({"command": "find-free", "build": "f"}));
    for name in 'f'..='z' {
        fs::create_dir(builds.join(name.to_string())).unwrap();
    }
    assert_eq!(site.ok(&["find-free"]), "aa\n");
}

#[test]
fn names_and_ports_lead_to_each_other() {
    let site = Site::new("plain", "");
    let base = site.ports.base;
    for (name, number) in [("a", 0), ("b", 1), ("z", 25), ("aa", 26), ("zz", 701)] {
        let port = (base + 10 * number).to_string();
        assert_eq!(site.ok(&["port", name]).trim(), port);
        assert_eq!(site.ok(&["port", &port]).trim(), name);
    }
    let said = site.json(&["port", "b"]);
    assert_eq!(said, serde_json::json!({"command": "port", "build": "b", "port": base + 10}));
    for bad in [base + 1, base - 10, 0] {
        let said = site.fails(2, &["port", &bad.to_string()]);
        assert!(said.contains("neither a build name nor a build's port"), "{said}");
    }
    for bad in ["65536", "99999999999999999999", "1x"] {
        site.fails(2, &["port", bad]);
    }
}

#[test]
fn the_last_port_works_and_the_next_name_is_refused() {
    let site = Site::new("plain", "");
    let toml = site.read("builds.toml").replace(&format!("base_port = {}", site.ports.base), "base_port = 65520");
    site.write("builds.toml", &toml);
    let mut site = site;
    site.start();
    site.ok(&["create", "b"]);
    assert!(site.status("b")["port"] == 65530 && site.status("b")["state"] == "listening");
    for verb in ["create", "port"] {
        let said = site.fails(2, &[verb, "c"]);
        assert!(said.contains("c is past the last usable name") && said.contains("base_port"), "{verb}: {said}");
    }
    assert_eq!(site.ok(&["find-free"]), "a\n");
    fs::create_dir(site.build("a")).unwrap();
    let said = site.fails(2, &["find-free"]);
    assert!(said.contains("c is past the last usable name"), "{said}");
    assert!(!site.build("c").exists());
}

#[test]
fn foreign_files_among_the_builds_are_left_alone() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a"]);
    let builds = site.root().join("builds");
    fs::write(builds.join("c"), "a file").unwrap();
    for directory in ["d", "Foo", "e/inner"] {
        fs::create_dir_all(builds.join(directory)).unwrap();
        fs::write(builds.join(directory).join("precious.txt"), "mine").unwrap();
    }
    symlink(builds.join("e"), builds.join("f")).unwrap();
    let before = listing(&builds, &["a"]);
    for (verb, name, words) in [
        ("create", "c", "builds/c was not made by builds"),
        ("create", "d", "builds/d was not made by builds"),
        ("rm", "d", "builds/d was not made by builds"),
        ("create", "f", "builds/f was not made by builds"),
    ] {
        let said = site.fails(3, &[verb, name]);
        assert!(said.contains(words), "{verb} {name}: {said}");
    }
    for name in ["c", "f"] {
        assert!(site.fails(3, &["rm", name]).contains(&format!("builds/{name} was not made by builds")));
    }
    assert_eq!(listing(&builds, &["a"]), before);
    let shown: Vec<String> = site.ok(&["list"]).lines().map(|line| line.split(' ').next().unwrap().into()).collect();
    assert_eq!(shown, ["a", "d", "e"], "what has a build's name is shown, and foreign directories are told by doctor");
    assert!(site.fails(1, &["doctor"]).contains("builds/d was not made by builds"));
}

#[test]
fn no_command_works_in_a_directory_that_is_not_its_own() {
    let site = Site::new("plain", "");
    for file in ["zerg.ini", "vassal.ini", "wsgi.py", "bin/python"] {
        site.write(&format!("deploy/builds/d/{file}"), "mine");
    }
    let before = listing(&site.root().join("builds"), &[]);
    for verb in VERBS.into_iter().filter(|&verb| !["port", "--basis"].contains(&verb)) {
        let said = site.fails(3, &with(verb, "d"));
        assert!(said.contains("builds/d was not made by builds"), "{verb}: {said}");
        assert!(said.contains("move it away"), "{verb}: {said}");
    }
    assert_eq!(listing(&site.root().join("builds"), &[]), before);
}
