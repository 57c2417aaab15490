//! Python and npm packages: from the local stores alone, and never into the source.

use std::fs;
use std::process::Command;

use crate::helpers::{Loopback, listing, own_store, shell};
use crate::site::{Site, fixtures};

/// What a build's own Python says to a line of Python.
#[track_caller]
fn python(site: &Site, build: &str, code: &str) -> String {
    site.ok(&["run", build, "--", "python", "-c", code]).trim().to_owned()
}

/// The name and the SHA-256 of the one wheel in the wheelhouse that starts with `name`.
fn wheel(site: &Site, name: &str) -> (String, String) {
    let entries = fs::read_dir(site.root().join("deps/wheelhouse")).unwrap();
    let mut files = entries.map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name)).unwrap();
    let sum = shell(Command::new("sha256sum").arg(&file));
    let version = file.file_name().unwrap().to_str().unwrap().split('-').nth(1).unwrap().to_owned();
    (version, sum.split(' ').next().unwrap().to_owned())
}

#[test]
fn a_django_site_gets_its_python_and_npm_packages() {
    let site = Site::up("demo", "");
    let before = listing(&site.dir, &["deploy"]);
    let said = site.run(&["create", "a"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("3 packages") && said.err.contains("npm ci"), "{}", said.err);
    assert_eq!(listing(&site.dir, &["deploy"]), before, "the source is only read");
    let django = python(&site, "a", "import django; print(django.VERSION[:2], django.__file__)");
    assert!(django.starts_with("(5, 2) ") && django.contains("/builds/a/lib/python3"), "{django}");
    assert!(site.build("a").join("node_modules/modern-normalize/package.json").exists());
    let statics: Vec<_> = listing(&site.root().join("assets/static/a/modern-normalize"), &[]).into_keys().collect();
    let hashed = |name: &str| name.starts_with("modern-normalize.") && name.ends_with(".css") && name.len() > 21;
    assert!(statics.iter().any(|path| hashed(path.to_str().unwrap())), "{statics:?}");
}

#[test]
fn both_installers_take_several_requirement_files() {
    let of = |installer| {
        format!("\n[python]\ninstaller = \"{installer}\"\nrequirements = [\"reqs/base.txt\", \"reqs/more.txt\"]\n")
    };
    let site = Site::up("plain", &of("uv"));
    site.write("reqs/base.txt", "# the base\nasgiref >= 3 ; python_version > '3'\n");
    site.write("reqs/more.txt", "-r nested/deep.txt\n");
    site.write("reqs/nested/deep.txt", "sqlparse\n");
    for (build, installer) in [("a", "uv"), ("b", "pip")] {
        site.configure(&of(installer));
        site.ok(&["create", build]);
        let files = python(&site, build, "import asgiref, sqlparse; print(asgiref.__file__, sqlparse.__file__)");
        assert_eq!(files.matches(&format!("/builds/{build}/lib/python3")).count(), 2, "{installer}: {files}");
    }
    fs::remove_file(site.dir.join("reqs/more.txt")).unwrap();
    let said = site.fails(2, &["create", "c"]);
    assert!(said.contains("python.requirements") && said.contains("reqs/more.txt"), "{said}");
}

#[test]
fn both_installers_check_hashes() {
    let of = |installer| format!("\n[python]\ninstaller = \"{installer}\"\n");
    let site = Site::up("plain", "");
    let (version, sum) = wheel(&site, "asgiref");
    let wrong = "0".repeat(64);
    for (build, installer) in [("a", "uv"), ("b", "pip")] {
        site.configure(&of(installer));
        site.write("requirements.txt", &format!("asgiref=={version} --hash=sha256:{wrong}\n"));
        let said = site.fails(1, &["create", build]);
        assert!(said.contains("stopped at step python") && said.contains(&wrong), "{installer}: {said}");
        assert!(!site.build(build).join("vassal.ini").exists());
        site.write("requirements.txt", &format!("asgiref=={version} --hash=sha256:{sum}\n"));
        site.ok(&["create", build]);
        assert_eq!(python(&site, build, "import asgiref; print(asgiref.__version__)"), version);
    }
}

#[test]
fn what_the_wheelhouse_lacks_is_named() {
    let of = |installer| format!("\n[python]\ninstaller = \"{installer}\"\n");
    let site = Site::up("plain", "");
    site.write("requirements.txt", "no-such-package-of-ours==7.1\n");
    for (build, installer) in [("a", "uv"), ("b", "pip")] {
        site.configure(&of(installer));
        let said = site.fails(1, &["create", build]);
        assert!(said.contains("no-such-package-of-ours==7.1"), "{installer}: {said}");
        assert!(said.contains("next: builds wheels fetches what the wheelhouse lacks"), "{installer}: {said}");
        assert!(said.contains(&format!("logs/{build}.create-python.log")), "{installer}: {said}");
    }
    fs::remove_file(site.root().join("deps/wheelhouse")).unwrap();
    let said = site.fails(1, &["create", "c"]);
    assert!(
        said.contains("deps/wheelhouse") && said.contains("is missing") && said.contains("builds wheels"),
        "{said}"
    );
}

#[test]
fn a_create_reaches_no_network() {
    let Some(network) = Loopback::new() else {
        return eprintln!("skipped: only root may make a network without a way out");
    };
    let of = |installer| format!("\n[python]\ninstaller = \"{installer}\"\nrequirements = [\"reqs.txt\"]\n");
    let mut site = Site::new("plain", &of("uv"));
    site.write("reqs.txt", "-e .\n");
    site.write("pyproject.toml", PROJECT);
    site.write("shop/__init__.py", "price = 7\n");
    for file in ["package.json", "package-lock.json"] {
        fs::copy(fixtures().join("demo").join(file), site.dir.join(file)).unwrap();
    }
    site.caller = [network.caller(), site.caller.clone()].concat();
    site.start();
    for (build, installer) in [("a", "uv"), ("b", "pip")] {
        site.configure(&of(installer));
        site.ok(&["create", build]);
        let shop = python(&site, build, "import os; os.chdir('/'); import shop; print(shop.price, shop.__file__)");
        assert_eq!(shop, format!("7 {}/shop/__init__.py", site.build(build).display()), "{installer}");
        python(&site, build, "import asgiref");
        assert!(site.build(build).join("node_modules/modern-normalize").exists());
        let log = site.read(&format!("deploy/logs/{build}.create-python.log"));
        assert!(!log.to_lowercase().contains("retrying"), "{installer} asked a network first: {log}");
    }
    let devices = site.ok(&["run", "a", "--", "sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1"]);
    assert_eq!(devices.trim(), "lo", "the proof is one");
    site.ok(&["activate", "a"]);
    site.ok(&["warmup", "a"]);
}

const PROJECT: &str = r#"
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "shop"
version = "1.0"
dependencies = ["asgiref"]

[tool.setuptools]
packages = ["shop"]
"#;

#[test]
fn wheels_fills_the_stores_and_leaves_the_source_alone() {
    let site = Site::new("demo", "");
    for store in ["wheelhouse", "npm"] {
        own_store(&site, store);
    }
    let asgiref =
        site.root().join("deps/wheelhouse").join(format!("asgiref-{}-py3-none-any.whl", wheel(&site, "asgiref").0));
    fs::create_dir(site.dir.join("elsewhere")).unwrap();
    fs::rename(&asgiref, site.dir.join("elsewhere").join(asgiref.file_name().unwrap())).unwrap();
    let before = listing(&site.dir, &["deploy"]);
    // What stands in for the network.
    let wheels = || {
        let mut command = site.command(&["wheels", "--json"]);
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", site.dir.join("elsewhere"));
        let said = crate::site::Said::from(command.env("npm_config_offline", "true").output().unwrap());
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap()
    };
    let said = wheels();
    assert_eq!((&said["changed"], &said["new"]), (&true.into(), &1.into()), "{said}");
    assert!(asgiref.exists());
    let said = wheels();
    assert_eq!((&said["changed"], &said["new"]), (&false.into(), &0.into()), "{said}");
    assert_eq!(listing(&site.dir, &["deploy"]), before, "the source is only read");
    assert!(!site.root().join("deps/.source").exists());
}

#[test]
fn each_build_has_the_python_of_its_time() {
    let site = Site::up("plain", "");
    let ask = "import platform; print(platform.python_version())";
    let mut builds = ["a", "b"].into_iter();
    for interpreter in ["python3", "/usr/bin/python3"] {
        let Ok(version) = Command::new(interpreter).args(["-c", ask]).output() else { continue };
        let version = String::from_utf8(version.stdout).unwrap().trim().to_owned();
        let build = builds.next().unwrap();
        site.configure(&format!("\n[python]\ninterpreter = \"{interpreter}\"\n"));
        site.ok(&["create", build]);
        assert_eq!(python(&site, build, ask), version);
        let manifest: serde_json::Value =
            serde_json::from_str(&site.read(&format!("deploy/builds/{build}/build.json"))).unwrap();
        assert_eq!(manifest["python"], version, "{interpreter}");
    }
}
