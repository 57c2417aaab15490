//! What builds share, and that nobody can tell from their files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::unistd::geteuid;
use walkdir::WalkDir;

use crate::helpers::{own_store, shell};
use crate::site::{Said, Site};
use crate::user::as_user;

/// What only one build has: who it is, and since when.
const OWN: [&str; 4] = ["run", "build.json", "build.ini", ".DEPLOY_TAG"];

/// Every file of a build with its mode and its bytes, in which the build is called `NAME`.
fn bytes(site: &Site, build: &str) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let root = site.build(build);
    let walk = WalkDir::new(&root).into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_str().unwrap();
        entry.depth() != 1 || !OWN.contains(&name)
    });
    let named = |path: &Path, text: Vec<u8>| match String::from_utf8(text) {
        Ok(text) => {
            let text = text.replace(&format!("/builds/{build}"), "/builds/NAME");
            let prompt = path.file_name().unwrap().to_ascii_lowercase().to_str().unwrap().starts_with("activate");
            let text = if prompt { text.replace(&format!("({build}) "), "(NAME) ") } else { text };
            text.strip_suffix(&format!("/static/{build}")).unwrap_or(&text).into()
        }
        Err(error) => error.into_bytes(),
    };
    let entries = walk.map(|entry| entry.unwrap()).filter(|entry| !entry.file_type().is_dir());
    let all = entries.map(|entry| {
        let content = match fs::read_link(entry.path()) {
            Ok(target) => target.into_os_string().into_encoded_bytes(),
            Err(_) => fs::read(entry.path()).unwrap(),
        };
        let mode = fs::symlink_metadata(entry.path()).unwrap().mode();
        (entry.path().strip_prefix(&root).unwrap().to_owned(), (mode, named(entry.path(), content)))
    });
    all.collect()
}

#[track_caller]
fn assert_alike(site: &Site, one: &str, other: &str) {
    let (one, other) = (bytes(site, one), bytes(site, other));
    let paths = one.keys().chain(other.keys());
    let differing: Vec<_> = paths.filter(|path| one.get(*path) != other.get(*path)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert!(one.len() > 100, "{} files", one.len());
}

fn said(site: &Site, args: &[&str]) -> String {
    let said = site.run(args);
    assert_eq!(said.code, 0, "{said:?}");
    said.err
}

#[test]
fn a_build_that_reuses_is_byte_for_byte_what_a_fresh_one_is() {
    let site = Site::up("demo", "");
    let first = said(&site, &["create", "a"]);
    assert!(first.contains("npm ci, 1 package, first time"), "{first}");
    let second = said(&site, &["create", "b"]);
    assert!(second.contains("1 package, reused") && second.contains("3 packages, reused"), "{second}");
    let fresh = said(&site, &["create", "c", "--fresh"]);
    assert_eq!(fresh.matches("--fresh").count(), 2, "{fresh}");
    assert_alike(&site, "a", "b");
    assert_alike(&site, "b", "c");
}

#[test]
fn of_changed_requirements_only_what_is_new_is_installed_and_the_rest_is_as_if_it_were() {
    let site = Site::up("plain", "");
    site.write("requirements.txt", "asgiref\nsqlparse\n");
    site.ok(&["create", "a"]);
    site.write("requirements.txt", "Django>=5.2,<5.3\n");
    let more = said(&site, &["create", "b"]);
    assert!(more.contains("requirements.txt changed: 1 of 3 wheels"), "{more}");
    site.ok(&["create", "c", "--fresh"]);
    assert_alike(&site, "b", "c");
    site.write("requirements.txt", "sqlparse\n");
    let less = said(&site, &["create", "d"]);
    assert!(less.contains("requirements.txt changed: 0 of 1 wheels"), "{less}");
    let left = site.run(&["run", "d", "--", "python", "-c", "import django"]);
    assert!(left.err.contains("No module named 'django'"), "{left:?}");
}

fn find(directory: &Path, name: &str) -> PathBuf {
    let mut walk = WalkDir::new(directory).into_iter().map(|entry| entry.unwrap());
    walk.find(|entry| entry.file_name() == name).unwrap().into_path()
}

/// Overwrites, appends to and truncates every file below a directory, as far as it may.
const VANDAL: &str = "
import os, sys
for place, _, files in os.walk(sys.argv[1]):
    for name in files:
        if os.path.islink(os.path.join(place, name)): continue
        for mode in ['r+b', 'ab', 'wb']:
            try:
                with open(os.path.join(place, name), mode) as file: file.write(b'vandal')
            except OSError: pass
";

#[test]
fn no_write_to_a_file_of_a_new_build_reaches_live() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    const USER: u32 = 65_534;
    let mut site = Site::new("demo", "");
    let tool = site.root().join("tool");
    fs::copy(env!("CARGO_BIN_EXE_builds"), &tool).unwrap();
    ["wheelhouse", "npm", "tools"].iter().for_each(|store| own_store(&site, store));
    assert!(!site.root().join("deps/tools").is_symlink());
    shell(Command::new("chown").arg("-R").arg(format!("{USER}:{USER}")).arg(&site.dir));
    let caller = as_user(USER, &site.dir);
    site.caller = [caller.clone(), vec![tool.display().to_string()]].concat();
    site.start();
    let live = |site: &Site| (bytes(site, "a"), bytes(site, "b"));
    for build in ["a", "b", "c"] {
        site.ok(&["create", build]);
    }
    let packages = find(&site.build("c"), "django").join("__init__.py");
    assert!(fs::metadata(packages).unwrap().nlink() > 2, "packages are shared, or this proves nothing");

    let before = live(&site);
    shell(Command::new(&caller[0]).args(&caller[1..]).args(["python3", "-c", VANDAL]).arg(site.build("c")));
    assert!(fs::read_to_string(site.build("c").join("manage.py")).unwrap().starts_with("vandal"), "it does its work");
    let after = live(&site);
    assert!(before == after, "another build has changed");
    site.ok(&["create", "d"]);
    assert_alike(&site, "a", "d");
}

#[test]
fn what_no_build_has_any_more_goes() {
    let site = Site::up("plain", "");
    let entries = || fs::read_dir(site.root().join("deps/store/python")).unwrap().count();
    for (build, requirements) in [("a", "asgiref\n"), ("b", "sqlparse\n"), ("c", "asgiref\n")] {
        site.write("requirements.txt", requirements);
        site.ok(&["create", build]);
    }
    assert_eq!(entries(), 2);
    site.ok(&["rm", "b"]);
    assert_eq!(entries(), 1);
    site.ok(&["rm", "a"]);
    assert_eq!(entries(), 1, "c has it, too");
    site.ok(&["rm", "c"]);
    assert_eq!(entries(), 0);
}

/// `builds wheels` and what follows, with what stands in for the network.
fn offline(site: &Site, args: &[&str]) -> String {
    let mut command = site.command(args);
    command.env("PIP_NO_INDEX", "1").env("npm_config_offline", "true");
    let said = Said::from(command.output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    said.err
}

#[test]
fn what_was_fetched_is_installed_for_the_first_create() {
    let site = Site::up("demo", "");
    ["wheelhouse", "npm"].iter().for_each(|store| own_store(&site, store));
    let fetched = offline(&site, &["wheels"]);
    assert!(fetched.contains("3 packages, first time") && fetched.contains("1 package, first time"), "{fetched}");
    let again = offline(&site, &["wheels"]);
    assert_eq!(again.matches("installed before").count(), 2, "{again}");
    let first = offline(&site, &["create", "a"]);
    assert!(first.contains("3 packages, reused") && first.contains("1 package, reused"), "{first}");
    offline(&site, &["create", "b", "--fresh"]);
    assert_alike(&site, "a", "b");
    let left: Vec<_> = ["python", "node", ""]
        .iter()
        .flat_map(|kind| fs::read_dir(site.root().join("deps/store").join(kind)).unwrap().flatten())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_was_installed_ahead_waits_for_the_next_build() {
    let site = Site::up("plain", "");
    own_store(&site, "wheelhouse");
    let entries = || -> Vec<PathBuf> {
        fs::read_dir(site.root().join("deps/store/python")).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    site.write("requirements.txt", "asgiref\n");
    site.ok(&["create", "a"]);
    site.write("requirements.txt", "sqlparse\n");
    offline(&site, &["wheels"]);
    assert_eq!(entries().len(), 2);
    site.ok(&["rm", "a"]);
    assert_eq!(entries().len(), 1, "no build has had the chance");
    let mark = fs::File::options().write(true).open(entries()[0].join("ahead")).unwrap();
    mark.set_modified(SystemTime::now() - Duration::from_secs(10)).unwrap();
    site.write("requirements.txt", "asgiref\n");
    site.ok(&["create", "b"]);
    assert_eq!(entries().len(), 1, "b could have had it");
}

#[test]
fn what_cannot_be_reused_says_why() {
    let site = Site::up("plain", "");
    let cases = [
        ("requirements.txt", "asgiref\n./shopkit\n", "requirements.txt names ./shopkit"),
        ("package.json", r#"{"name": "shop", "scripts": {"postinstall": "true"}}"#, "there is no package-lock.json"),
    ];
    site.write("shopkit/pyproject.toml", "[project]\nname = \"shopkit\"\nversion = \"1\"\n");
    site.write("shopkit/shopkit.py", "");
    for (build, (file, text, why)) in ["a", "b"].into_iter().zip(cases) {
        site.write(file, text);
        for build in [build, &format!("{build}{build}")] {
            let said = said(&site, &["create", build]);
            assert!(said.contains(&format!("not for reuse, as {why}")), "{said}");
        }
    }
}

/// Commands that count how often they run, and leave something for pages and something for the server.
const COUNTING: &str =
    "echo run >> ../../runs; mkdir -p made; echo bundle > made/list; cat site.css > $STATIC_ROOT/all.css";

#[test]
fn static_files_are_made_once_for_the_same_inputs() {
    let assets =
        |inputs: &str| format!("\n[assets]\nreuse = true\n{inputs}commands = [[\"sh\", \"-c\", \"{COUNTING}\"]]\n");
    let site = Site::up("plain", &assets(""));
    site.write("site.css", "body {}\n");
    let runs = || site.read("deploy/runs").lines().count();
    let made = |build: &str| {
        (
            site.read(&format!("deploy/assets/static/{build}/all.css")),
            site.read(&format!("deploy/builds/{build}/made/list")),
        )
    };
    let mut ran = 0;
    let mut create = |build: &str, again: bool| {
        let said = said(&site, &["create", build]);
        ran += usize::from(again);
        assert_eq!(runs(), ran, "{build}: {said}");
        assert_eq!(made(build).1, "bundle\n");
        said
    };
    create("a", true);
    let reused = create("b", false);
    assert!(reused.contains("static files, reused"), "{reused}");
    assert_eq!(made("a"), made("b"));
    let inode = |build: &str| fs::metadata(site.root().join(format!("assets/static/{build}/all.css"))).unwrap().ino();
    assert_ne!(inode("a"), inode("b"), "static files are a build's own");

    site.write("site.css", "body { color: black }\n");
    let changed = create("c", true);
    assert!(changed.contains("the source changed"), "{changed}");
    assert_eq!(made("c").0, "body { color: black }\n");
    site.configure(&(assets("") + "[env]\nCOLOUR = \"red\"\n"));
    create("d", true);
    site.configure(&assets("inputs = [\"site.css\"]\n"));
    create("e", true);
    site.write("notes.txt", "no command reads it\n");
    create("f", false);
    site.ok(&["create", "g", "--fresh"]);
    assert_eq!(runs(), ran + 1);
}

#[test]
fn static_files_that_name_their_build_are_made_again() {
    let commands = "commands = [[\"sh\", \"-c\", \"echo $STATIC_URL > $STATIC_ROOT/where.js\"]]";
    let site = Site::up("plain", &format!("\n[assets]\nreuse = true\n{commands}\n"));
    for build in ["a", "b"] {
        let said = said(&site, &["create", build]);
        assert!(said.contains("not for reuse, as where.js names the build"), "{said}");
        assert_eq!(site.read(&format!("deploy/assets/static/{build}/where.js")), format!("/static/{build}/\n"));
    }
}
