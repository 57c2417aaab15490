//! Database migrations: what a build brings, what older code survives, and how it is applied.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::helpers::shell;
use crate::history::changes;
use crate::look::{manifest, processes_of};
use crate::site::{Site, fixtures, wait_for};

/// Lays a set of migrations, and the models that belong to it, over a site's source.
pub fn lay(site: &Site, set: &str) {
    let set = fixtures().join("migrations").join(set).join(".");
    shell(Command::new("cp").arg("-a").arg(set).arg(&site.dir));
}

/// Of a build a that lacks nothing.
const NOTHING: &str = "build a brings no migration that is not applied\n";

/// A first build migrates, and there are no static files.
fn settings(extra: &str) -> String {
    let migrate = "commands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]";
    format!("\n[assets]\ncommands = []\n[init]\n{migrate}\n{extra}")
}

/// A site with a database like its first build, which is live.
fn ready(extra: &str) -> Site {
    Site::ready("migrations/base", &settings(extra))
}

/// Writes a second migration with these operations.
fn second(site: &Site, operations: &str) {
    let head =
        "import os, time\nfrom django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n";
    let text = format!("{head}    dependencies = [(\"shop\", \"0001_initial\")]\n    operations = [{operations}]\n");
    site.write("shop/migrations/0002_second.py", &text);
}

/// The operations of a document, each with its migration.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let migrations = document["migrations"].as_array().unwrap_or_else(|| panic!("{document}")).iter();
    migrations
        .flat_map(|one| {
            let name = one["migration"].as_str().unwrap();
            one["operations"].as_array().unwrap().iter().map(move |operation| (name, operation))
        })
        .collect()
}

#[test]
fn every_operation_is_told_to_be_additive_or_destructive() {
    let site = Site::up("migrations/base", &settings(""));
    lay(&site, "many");
    site.ok(&["create", "a"]);
    // A database without tables has nothing that could be lost.
    let first = site.json(&["migrate", "a"]);
    assert_eq!((&first["changed"], first["migrations"].as_array().unwrap().len()), (&true.into(), 2), "{first}");

    lay(&site, "judged");
    site.ok(&["create", "b"]);
    let said = site.json(&["migrations", "b"]);
    let told = operations(&said);
    assert_eq!((told.len(), &said["leaves"]), (108, &serde_json::json!(["shop.0004_destructive"])), "{said}");
    for (migration, operation) in told {
        let expected = migration.strip_prefix("shop.000").unwrap().split_once('_').unwrap().1;
        assert_eq!(operation["class"], expected, "{operation}");
        assert_eq!(operation["why"].is_null(), expected == "additive", "{operation}");
    }
}

#[test]
fn additive_migrations_are_applied_and_destructive_ones_wait_for_a_word() {
    let site = ready("");
    let buys = |build: &str| crate::site::get(site.port(build), "/buy");
    assert_eq!(buys("a").0, 200, "{}", buys("a").1);
    assert_eq!(site.ok(&["migrations"]), "build b brings no migration that is not applied\n");

    lay(&site, "additive");
    site.ok(&["create", "c"]);
    let said = site.ok(&["migrations", "c"]);
    let expected = "default shop.0002_note additive\n  Add field note to basket\n  \
        Alter field colour on basket\n  Create model Item\n  \
        Add field count to item\n  Remove field count from item\n  Raw Python operation\nbuild c brings 1 migration\n";
    assert_eq!(said, expected);
    let said = site.run(&["migrate", "c"]);
    assert_eq!((said.code, said.out.as_str()), (0, "build c has migrated the database: 1 migration\n"), "{said:?}");
    assert!(said.err.contains("migrate  default shop.0002_note (additive)"), "{said:?}");
    assert_eq!(site.json(&["migrate", "c"])["migrations"], serde_json::json!([]));
    assert_eq!(buys("a").0, 200, "code of before goes on: {}", buys("a").1);

    lay(&site, "destructive");
    site.ok(&["create", "d"]);
    let said = site.fails(3, &["migrate", "d"]);
    assert!(
        said.contains(
            "error: build d brings destructive migrations\n  why: nothing is applied, as older code is in use: a, b"
        ),
        "{said}"
    );
    assert!(said.contains("default shop.0003_no_colour destructive\n         Remove field colour from basket: older code still asks for it"), "{said}");
    assert!(said.contains("builds migrate d --allow-destructive"), "{said}");
    assert_eq!(buys("a").0, 200, "nothing was applied: {}", buys("a").1);

    let said = site.json(&["migrate", "d", "--allow-destructive"]);
    assert_eq!((&said["changed"], &said["migrations"][0]["migration"]), (&true.into(), &"shop.0003_no_colour".into()));
    assert_eq!(buys("a").0, 500, "it was destructive indeed");
    assert!(site.read("deploy/logs/migrate.log").contains("Applying shop.0003_no_colour... OK"));

    // Back is another matter now.
    site.ok(&["stage", "d"]);
    site.ok(&["swap-live"]);
    for back in [&["rollback"][..], &["rollback", "a"]] {
        let said = site.fails(3, back);
        assert!(said.contains("error: build a does not know the databases any more\n  why: destructive migrations were applied since it was made: shop.0003_no_colour, for d"), "{said}");
        assert!(said.contains("builds rollback a --force"), "{said}");
        assert_eq!(site.names(), ("d".into(), "a".into()));
    }
    let changes = changes(&site);
    let last = changes.last().unwrap();
    assert_eq!((&last["action"], &last["result"]), (&"rollback".into(), &"refused".into()), "{last}");
    let migrated = changes.iter().filter(|change| change["action"] == "migrate");
    let told: Vec<_> = migrated.map(|change| [&change["build"], &change["result"], &change["reason"]]).collect();
    assert_eq!(told[0], ["c", "done", "shop.0002_note"]);
    assert_eq!(told[1][..2], ["d", "refused"]);
    assert_eq!(told[2..], [["d", "done", "shop.0003_no_colour"]]);
    // Nor does a watch go that way by itself.
    site.configure(&settings("[warmup]\npaths = [\"/nowhere\"]\n"));
    let said = site.fails(5, &["watch"]);
    assert!(said.contains("build d is unhealthy: it does badly, and a cannot take its place again"), "{said}");
    assert!(
        said.contains("/nowhere answered 404") && said.contains("since it was made: shop.0003_no_colour"),
        "{said}"
    );
    assert!(said.contains(" next: take them back first") && said.contains("builds rollback a --force"), "{said}");
    site.ok(&["rollback", "--force"]);
    assert_eq!(site.names(), ("a".into(), "d".into()));
    // d knows what was applied for it, and c what it was written for.
    site.ok(&["rollback", "d"]);
}

/// Makes a build of the source, live, whose migrations somebody else applies.
fn live_by_hand(site: &Site, name: &str) {
    site.ok(&["create", name]);
    site.ok(&["run", name, "--", "python", "manage.py", "migrate"]);
    assert_eq!(site.ok(&["migrate", name]), NOTHING.replace("build a", &format!("build {name}")));
    site.ok(&["stage", name]);
    site.ok(&["swap-live"]);
}

#[test]
fn a_rollback_asks_the_live_build_of_what_nobody_has_written_down() {
    let site = ready("");
    site.ok(&["migrate", "a"]);
    lay(&site, "additive");
    live_by_hand(&site, "c");
    site.ok(&["rollback"]);
    site.ok(&["swap-live"]);
    assert_eq!(site.names(), ("c".into(), "a".into()));

    lay(&site, "destructive");
    live_by_hand(&site, "d");
    let said = site.fails(3, &["rollback", "a"]);
    assert!(
        said.contains("destructive migrations were applied since it was made: shop.0003_no_colour, for d"),
        "{said}"
    );
    // c knows all that d does but one.
    assert!(site.fails(3, &["rollback"]).contains("build c does not know the databases any more"));
    assert_eq!(site.names(), ("d".into(), "c".into()));

    // A build that is too bad to answer is no reason to stay with it.
    site.write("deploy/builds/d/settings.py", "raise ValueError(\"no milk\")\n");
    let said = site.run(&["rollback"]);
    assert_eq!((said.code, said.out.as_str()), (0, "build c is live again; d is staged\n"), "{said:?}");
    assert!(said.err.contains("whether c survives shop.0003_no_colour, which d brings, nobody tells: "), "{said:?}");
}

#[test]
fn a_deploy_applies_what_is_additive_and_stops_before_the_rest() {
    let site = ready("[migrate]\nrun = true\n");
    let manifest = |build: &str| -> Value {
        serde_json::from_str(&site.read(&format!("deploy/builds/{build}/build.json"))).unwrap()
    };
    let deployed = site.run(&["deploy"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    // The site loads for it once, beside what else the create does.
    assert!(deployed.err.contains("database 0 migrations to apply"), "{deployed:?}");
    assert!(deployed.err.contains("migrate  nothing to apply"), "{deployed:?}");
    assert_eq!(manifest("c")["migrations"]["leaves"], serde_json::json!(["shop.0001_initial"]));

    lay(&site, "additive");
    let deployed = site.run(&["deploy"]);
    assert!(deployed.code == 0 && deployed.err.contains("database 1 migration to apply"), "{deployed:?}");
    assert!(deployed.err.contains("migrate  applied 1 migration"), "{deployed:?}");
    assert_eq!(manifest("d")["migrations"]["applied"][0]["migration"], "shop.0002_note");

    lay(&site, "destructive");
    let said = site.fails(3, &["deploy"]);
    assert!(said.contains("error: the deploy of e stopped at step migrate"), "{said}");
    assert!(said.contains("Remove field colour from basket: older code still asks for it"), "{said}");
    assert_eq!((site.names(), crate::site::get(site.port("d"), "/buy").0), (("d".into(), "c".into()), 200));
    let deployed = site.run(&["deploy", "--resume", "--allow-destructive"]);
    assert!(deployed.code == 0 && deployed.err.contains("applied 1 destructive migration"), "{deployed:?}");
    assert_eq!(site.names(), ("e".into(), "d".into()));
}

#[test]
fn a_deploy_that_may_not_migrate_stops_where_something_is_to_be_migrated() {
    let site = ready("");
    lay(&site, "additive");
    let said = site.fails(3, &["deploy"]);
    assert!(said.contains("error: the deploy of c stopped at step migrate"), "{said}");
    assert!(said.contains("default shop.0002_note additive"), "{said}");
    assert_eq!(site.names(), ("a".into(), "b".into()));
    site.ok(&["migrate", "c"]);
    site.ok(&["deploy", "--resume"]);
    assert_eq!(site.names(), ("c".into(), "a".into()));
}

#[test]
fn a_failing_migration_leaves_what_came_before_it() {
    let site = ready("");
    lay(&site, "additive");
    let fails = "raise ValueError(\"no milk\")";
    let third = format!(
        "from django.db import migrations\n\n\ndef fail(apps, editor):\n    {fails}\n\n\nclass Migration(migrations.Migration):\n    dependencies = [(\"shop\", \"0002_note\")]\n    operations = [migrations.RunPython(fail, hints={{\"builds\": \"additive\"}})]\n"
    );
    site.write("shop/migrations/0003_fails.py", &third);
    site.ok(&["create", "c"]);
    let said = site.run(&["migrate", "c"]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("build c is unhealthy: a migration of database \"default\" failed"), "{}", said.err);
    assert!(said.err.contains("ValueError: no milk") && said.err.contains("logs/migrate.log"), "{}", said.err);
    assert!(said.err.starts_with("migrate  default shop.0002_note (additive)\n"), "{}", said.err);
    let left = site.json(&["migrations", "c"]);
    assert_eq!(
        (left["migrations"].as_array().unwrap().len(), &left["migrations"][0]["migration"]),
        (1, &"shop.0003_fails".into())
    );
}

#[test]
fn what_keeps_a_build_from_telling_is_told() {
    let site = ready("");
    site.ok(&["migrate", "a"]);
    let known = || manifest(&site, "a")["migrations"].clone();
    let before = known();
    assert_eq!(before["leaves"], serde_json::json!(["shop.0001_initial"]));
    for (extra, expected) in [
        ("[env]\nPOSTGRES = \"/nowhere\"\n", "Error loading psycopg"),
        (
            "[migrate]\ndatabases = [\"default\", \"log\"]\n",
            "its settings have no database \"log\", but these: default",
        ),
        ("[env]\nDJANGO_SETTINGS_MODULE = \"nowhere\"\n", "its migrations cannot be loaded"),
    ] {
        site.configure(&settings(extra));
        for verb in ["migrations", "migrate"] {
            let said = site.fails(5, &[verb, "a"]);
            assert!(said.contains(expected), "{verb}: {said}");
        }
    }
    site.configure(&settings(""));
    let database = site.root().join("assets/db.sqlite3");
    fs::rename(&database, database.with_extension("away")).unwrap();
    fs::create_dir(&database).unwrap();
    for verb in ["migrations", "migrate"] {
        let said = site.fails(5, &[verb, "a"]);
        assert!(
            said.contains("its database \"default\" does not answer\n  why: unable to open database file"),
            "{said}"
        );
    }
    assert_eq!(known(), before, "what failed takes nothing from what is known");
    fs::remove_dir(&database).unwrap();
    fs::rename(database.with_extension("away"), &database).unwrap();
    second(&site, "");
    fs::copy(site.dir.join("shop/migrations/0002_second.py"), site.dir.join("shop/migrations/0002_other.py")).unwrap();
    site.ok(&["create", "c"]);
    let said = site.fails(5, &["migrations", "c"]);
    assert!(
        said.contains("two migrations come last: 0002_other, 0002_second in shop. makemigrations --merge"),
        "{said}"
    );
}

#[test]
fn a_site_without_django_has_no_migrations() {
    let site = Site::ready("plain", "");
    assert_eq!(site.ok(&["migrations", "a"]), NOTHING);
    assert_eq!(site.ok(&["migrate", "a"]), NOTHING);
    site.fails(2, &["migrate", "q"]);
    // Somebody else's manage.py.
    site.write("deploy/builds/a/manage.py", "import sys\nsys.exit(3)\n");
    assert_eq!(site.ok(&["migrate", "a"]), NOTHING);
}

#[test]
fn an_interrupted_migration_is_taken_back_and_one_that_is_left_is_ended() {
    let site = ready("");
    let waits = "migrations.AddField(\"basket\", \"note\", models.TextField(null=True)), \
        migrations.RunPython(lambda apps, editor: (open(os.environ[\"BUILD_DIR\"] + \"/run/here\", \"w\"), time.sleep(86400)), hints={\"builds\": \"additive\"})";
    second(&site, waits);
    site.ok(&["create", "c"]);
    let here = site.build("c").join("run/here");
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let heard = site.dir.with_extension("heard");
        let mut migrate = site.command(&["migrate", "c"]);
        let mut migrate = migrate.stdout(Stdio::null()).stderr(File::create(&heard).unwrap()).spawn().unwrap();
        wait_for("the migration", || here.exists());
        let said = site.fails(4, &["migrate", "a", "--wait", "0"]);
        assert!(said.contains("the migration of the site is in use") && said.contains("builds migrate c"), "{said}");
        kill(Pid::from_raw(migrate.id() as i32), signal).unwrap();
        assert_eq!(migrate.wait().unwrap().signal(), Some(signal as i32));
        fs::remove_file(&heard).unwrap();
        fs::remove_file(&here).unwrap();
        let migrates = || processes_of(&site).iter().any(|process| process.title.contains("\"databases\""));
        assert_eq!(migrates(), signal == Signal::SIGKILL);
    }
    // The next command that migrates ends it first; the database has taken it back.
    site.ok(&["migrate", "b"]);
    assert!(processes_of(&site).iter().all(|process| !process.title.contains("\"databases\"")));
    assert_eq!(site.json(&["migrations", "c"])["migrations"].as_array().unwrap().len(), 1);
    assert_eq!(crate::site::get(site.port("a"), "/buy").0, 200);
}
