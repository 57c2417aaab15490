//! Migrations of a PostgreSQL that several hosts share, and that requests go on using.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;

use crate::helpers::shell;
use crate::migrations::lay;
use crate::site::{Said, Site, get, wait_for};

/// A PostgreSQL of a test's own, which listens at a socket in its directory only.
struct Postgres {
    dir: PathBuf,
    server: Child,
}

impl Postgres {
    /// One that belongs to a site's test.
    fn start(site: &Site) -> Self {
        let dir = site.dir.with_extension("pg");
        drop(fs::remove_dir_all(&dir));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        let data = dir.join("data").display().to_string();
        shell(program("initdb").args(["--no-sync", "--auth=trust", "--username=postgres", "--pgdata", &data]));
        let log = fs::File::create(dir.join("log")).unwrap();
        let server = program("postgres")
            .args(["-D", &data, "-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", &format!("unix_socket_directories={}", dir.display())])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let postgres = Self { dir, server };
        wait_for("PostgreSQL", || postgres.psql("SELECT 1").status.success());
        postgres
    }

    fn psql(&self, query: &str) -> std::process::Output {
        let mut psql = Command::new("psql");
        psql.arg("--host").arg(&self.dir).args(["--username=postgres", "-Atc", query]).output().unwrap()
    }

    /// The answer to a query.
    fn ask(&self, query: &str) -> String {
        let said = Said::from(self.psql(query));
        assert_eq!(said.code, 0, "{said:?}");
        said.out.trim().to_owned()
    }

    /// What a site needs in its `builds.toml` to use it.
    fn settings(&self) -> String {
        let migrate = "commands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]";
        // uWSGI's own: psycopg loads modules of the interpreter.
        let python =
            "[python]\ninterpreter = \"/usr/bin/python3\"\nrequirements = [\"requirements.txt\", \"postgres.txt\"]\n";
        let env = format!("[env]\nPOSTGRES = {:?}\n", self.dir);
        format!("\n[assets]\ncommands = []\n[init]\n{migrate}\n[uwsgi]\nworkers = 4\n{python}{env}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, as nobody needs the data.
        kill(Pid::from_raw(self.server.id() as i32), Signal::SIGQUIT).ok();
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// A program of the newest PostgreSQL. It refuses to run as root.
fn program(name: &str) -> Command {
    let versions =
        fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path().join("bin").join(name));
    let program = versions.filter(|path| path.exists()).max().expect("apt-get install postgresql");
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program).current_dir("/");
    command
}

/// Users who buy without a pause, and what went wrong.
struct Buyers {
    stop: Arc<AtomicBool>,
    bought: Arc<AtomicUsize>,
    users: Vec<JoinHandle<Vec<String>>>,
}

impl Buyers {
    fn start(port: u16) -> Self {
        let (stop, bought) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let user = |_| {
            let (stop, bought) = (stop.clone(), bought.clone());
            spawn(move || {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (status, body) = get(port, "/buy");
                    bought.fetch_add(1, Ordering::Relaxed);
                    if status != 200 {
                        failures.push(format!("{status} {body}"));
                    }
                }
                failures
            })
        };
        let users = (0..6).map(user).collect();
        Self { users, stop, bought }
    }

    /// Waits until each could have bought several times more.
    fn go_on(&self) {
        let enough = self.bought.load(Ordering::Relaxed) + 60;
        wait_for("more sales", || self.bought.load(Ordering::Relaxed) > enough);
    }

    #[track_caller]
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failures: Vec<String> = self.users.into_iter().flat_map(|user| user.join().unwrap()).collect();
        assert!(failures.is_empty(), "{} of {:?}: {}", failures.len(), self.bought, failures[0]);
    }
}

#[test]
fn requests_go_on_through_additive_and_then_destructive_migrations() {
    let mut site = Site::new("migrations/base", "");
    let postgres = Postgres::start(&site);
    site.configure(&postgres.settings());
    site.start();
    site.ok(&["init"]);
    let buyers = Buyers::start(site.live_port());
    buyers.go_on();

    lay(&site, "additive");
    site.ok(&["create", "c"]);
    let said = site.json(&["migrate", "c"]);
    assert_eq!((&said["changed"], &said["migrations"][0]["migration"]), (&true.into(), &"shop.0002_note".into()));
    // Code of before, and then that of the migration.
    buyers.go_on();
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    buyers.go_on();

    lay(&site, "destructive");
    site.ok(&["create", "d"]);
    let said = site.fails(3, &["migrate", "d"]);
    assert!(said.contains("older code is in use: a, b, c"), "{said}");
    // The live build does without what goes.
    site.ok(&["migrate", "d", "--allow-destructive"]);
    buyers.go_on();
    site.ok(&["stage", "d"]);
    site.ok(&["swap-live"]);
    buyers.go_on();
    buyers.end();
    assert_eq!(get(site.port("a"), "/buy").0, 500, "it was destructive indeed");
    assert_eq!(postgres.ask("SELECT count(*) FROM shop_basket WHERE note IS NULL AND name <> 'plums'"), "0");
}

#[test]
fn two_hosts_that_migrate_one_database_take_turns() {
    let sites: Vec<Site> = (0..2).map(|_| Site::new("migrations/base", "")).collect();
    let postgres = Postgres::start(&sites[0]);
    let gate = postgres.dir.join("gate");
    fs::write(&gate, "").unwrap();
    let sites: Vec<Site> = sites.into_iter().map(|site| host(site, &postgres, &gate)).collect();
    let migrate = |site: &Site| {
        let command = site.command(&["--json", "migrate", "a"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        command.unwrap()
    };
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND";
    let first = migrate(&sites[0]);
    wait_for("the first host's migration", || gate.with_extension("here").exists());
    let said = sites[1].fails(4, &["migrate", "a", "--wait", "0"]);
    assert!(said.contains("another command or host, by the lock of the PostgreSQL database"), "{said}");
    let second = migrate(&sites[1]);
    wait_for("the second host's wait", || postgres.ask(&format!("{waiting} NOT granted")) == "1");
    fs::remove_file(&gate).unwrap();

    let said = [first, second].map(|command| {
        let output = command.wait_with_output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    let applied = said.each_ref().map(|said| said["migrations"].as_array().map(Vec::len));
    assert_eq!(applied, [Some(2), Some(0)], "{said:?}");
    assert_eq!(postgres.ask(&format!("{waiting} true")), "0", "nobody keeps the lock");
    assert_eq!(postgres.ask("SELECT count(*), count(DISTINCT name) FROM django_migrations"), "2|2");
}

/// A host with a build a, whose second migration waits until the gate is gone.
fn host(mut site: Site, postgres: &Postgres, gate: &Path) -> Site {
    site.configure(&postgres.settings());
    let waits = format!(
        "import os, time\nfrom django.db import migrations\n\n\ndef wait(apps, editor):\n    open({:?}, \"w\").close()\n    \
         while os.path.exists({gate:?}):\n        time.sleep(0.01)\n\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [(\"shop\", \"0001_initial\")]\n    \
         operations = [migrations.RunPython(wait, hints={{\"builds\": \"additive\"}})]\n",
        gate.with_extension("here")
    );
    site.write("shop/migrations/0002_waits.py", &waits);
    site.start();
    site.ok(&["create", "a"]);
    site
}

#[test]
fn a_postgres_that_is_away_makes_a_build_unhealthy() {
    let mut site = Site::new("migrations/base", "");
    let postgres = Postgres::start(&site);
    site.configure(&postgres.settings());
    site.start();
    site.ok(&["create", "a"]);
    drop(postgres);
    for verb in ["migrations", "migrate"] {
        let said = site.fails(5, &[verb, "a"]);
        assert!(said.contains("build a is unhealthy: its database \"default\" does not answer"), "{said}");
        assert!(said.contains(".s.PGSQL.5432"), "{said}");
    }
}
