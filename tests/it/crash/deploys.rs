//! A deploy, and what it does with databases.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::cases::{Case, PLAIN, first, fresh, home, keep, remove};
use crate::helpers::shell;
use crate::migrations::lay;
use crate::site::{Said, Site, fixtures};

/// On a site with live a, stage b, and a source that brings a migration.
pub const DEPLOYS: [Case; 6] = [
    Case { from: ", resumed", again: resumed, ..DEPLOY },
    Case { from: ", taken back", again: taken_back, ..DEPLOY },
    Case { from: ", staged", prepare: |site| cut(site, "staged"), ..ABORT },
    Case { from: ", live", prepare: |site| cut(site, "live"), ..ABORT },
    Case { args: &["migrate", "c"], prepare: lacking, again: migrated, ..PLAIN },
    Case { args: &["gates", "c"], prepare: begun, ..PLAIN },
];

const DEPLOY: Case = Case { args: &["deploy"], prepare: before, between: &["", "incomplete", "stopped"], ..PLAIN };

const ABORT: Case = Case {
    args: &["deploy", "--abort"],
    between: &["", "listening", "stopped"],
    over: Some((3, "none was cut short")),
    marker: Some(".removing-c"),
    ..PLAIN
};

/// Commands that end the deploy that waits for them, where a file says so. Packages would be another thousand calls of creates,
/// which have a case of their own.
const CUTS: &str = r#"
[python]
requirements = []

[uwsgi]
workers = 1

[assets]
commands = []

[init]
commands = [["python", "manage.py", "migrate", "--noinput"]]

[migrate]
run = true

[gates]
before_live = [["sh", "-c", "! test -e ../../staged || kill -9 $PPID"]]

[hooks]
after_swap = [["sh", "-c", "! test -e deploy/live || kill -9 $PPID"]]
"#;

/// A site with a database, whose workers answer as those of the other sites do.
pub fn with_database() -> Site {
    let mut site = Site::new("migrations/base", "");
    let packages = site.root().join("packages");
    for wheel in fs::read_dir(site.root().join("deps/wheelhouse")).unwrap().flatten() {
        if ["django-", "asgiref-", "sqlparse-"].iter().any(|name| wheel.file_name().to_string_lossy().starts_with(name))
        {
            shell(Command::new("python3").args(["-m", "zipfile", "-e"]).args([&wheel.path(), &packages]));
        }
    }
    site.configure(&format!("{CUTS}\n[env]\nPYTHONPATH = {packages:?}\n"));
    site.start();
    fs::copy(fixtures().join("plain/wsgi.py"), site.dir.join("wsgi.py")).unwrap();
    site.ok(&["init"]);
    fs::copy(database(&site), site.root().join("kept.sqlite3")).unwrap();
    lay(&site, "additive");
    keep(&site);
    site
}

fn database(site: &Site) -> PathBuf {
    site.root().join("assets/db.sqlite3")
}

/// Nothing is under way, and the database is as the first builds have left it.
fn over(site: &Site) {
    drop(fs::remove_file(site.root().join("deploy.json")));
    drop(fs::remove_file(site.root().join("assets/db.sqlite3-journal")));
    fs::copy(site.root().join("kept.sqlite3"), database(site)).unwrap();
}

fn before(site: &Site) {
    over(site);
    home(site);
    // As an operator does it: one that is only gone counts as live once, in the same second.
    if site.build("c").exists() {
        site.ok(&["rm", "c"]);
    }
    remove(site, "c");
}

/// A deploy was killed where it looks for a file of this name.
fn cut(site: &Site, place: &str) {
    before(site);
    fs::write(site.root().join(place), "").unwrap();
    let said = site.run(&["deploy"]);
    fs::remove_file(site.root().join(place)).unwrap();
    assert!(is_cut(site), "{said:?}");
}

/// Build c has never been asked for its migrations.
fn lacking(site: &Site) {
    over(site);
    fresh(site);
}

fn begun(site: &Site) {
    over(site);
    first(site);
}

fn is_cut(site: &Site) -> bool {
    site.root().join("deploy.json").exists()
}

fn resumed(site: &Site, case: &Case) -> Said {
    if is_cut(site) { site.run(&["deploy", "--resume"]) } else { anew(site, case) }
}

fn taken_back(site: &Site, case: &Case) -> Said {
    if is_cut(site) {
        let said = site.run(&["deploy", "--abort"]);
        let is_back = site.names() == ("a".into(), "b".into()) && !site.build("c").exists() && !is_cut(site);
        if said.code != 0 || !is_back {
            return Said { code: -1, err: format!("the names are {:?} after {said:?}", site.names()), ..said };
        }
    }
    anew(site, case)
}

/// A deploy that is not over leaves live alone. One that failed has set its build aside, whose name is free after an rm.
fn anew(site: &Site, case: &Case) -> Said {
    if site.names().0 == "c" {
        return Said { code: 0, out: String::new(), err: String::new() };
    }
    if site.build("c").exists() {
        site.ok(&["rm", "c"]);
    }
    site.run(case.args)
}

fn migrated(site: &Site, case: &Case) -> Said {
    let said = site.run(case.args);
    let left = site.json(&["migrations", "c"]);
    let is_done = left["migrations"].as_array().is_some_and(Vec::is_empty);
    if is_done { said } else { Said { code: -1, err: format!("{left} after {said:?}"), ..said } }
}
