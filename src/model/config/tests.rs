//! The whole file: defaults, good values, the texts of errors, secrets.

mod good;
mod readme;
mod refused;
mod unknown;

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::error::Problem;
use super::*;
use crate::model::pattern::Excludes;

const FILE: &str = "/srv/shop/builds.toml";

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, Path::new(FILE))
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn bad(text: &str) -> ConfigError {
    read(text).err().unwrap_or_else(|| panic!("taken: {text}"))
}

fn excludes(patterns: &[&str]) -> Excludes {
    Excludes(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

#[test]
fn an_empty_file_gives_every_default() {
    let list = |words: &[&str]| ArgumentList::new(words.iter().map(|word| word.to_string()).collect()).unwrap();
    let listen = |port| Listen { address: Some([127, 0, 0, 1].into()), port };
    let minute = Duration::from_secs(60);
    let expected = Config {
        site: Site {
            name: "shop".to_string(),
            root: PathBuf::from("/srv/shop/deploy"),
            source: PathBuf::from("/srv/shop"),
            overlay: None,
            exclude: excludes(&[".git", ".hg", ".svn", "__pycache__", "*.pyc", "node_modules", ".venv", "venv"]),
            git_stamp: false,
            base_port: 2000,
            host: "localhost".to_string(),
            step_timeout: 30 * minute,
        },
        python: Python { interpreter: PathBuf::from("python3"), requirements: None, installer: Installer::Uv },
        node: Node { package_dir: PathBuf::from(".") },
        assets: Assets { commands: None, reuse: false, inputs: None },
        init: Init { commands: Vec::new() },
        uwsgi: Uwsgi {
            binary: PathBuf::from("uwsgi"),
            module: None,
            workers: 2,
            threads: 1,
            cheaper: 0,
            listen: 100,
            start_timeout: minute,
            drain_timeout: minute,
        },
        nginx: Nginx {
            upstream: Upstream::Socket,
            binary: PathBuf::from("nginx"),
            live_listen: listen(8080),
            stage_listen: listen(8081),
            health_path: "/health".to_string(),
            test: list(&["nginx", "-t"]),
            reload: list(&["nginx", "-s", "reload"]),
            pid_file: PathBuf::from("/run/nginx.pid"),
        },
        warmup: Warmup {
            paths: vec![Page { path: "/".to_string(), expect: None, contains: None }],
            concurrency: 6,
            expect: vec![200, 301, 302],
            max_p95_ms: None,
            timeout: minute,
        },
        gates: Gates { before_stage: Vec::new(), before_live: Vec::new(), timeout: 5 * minute },
        watch: Watch {
            seconds: Duration::ZERO,
            max_error_rate: values::Decimal::new(0.01),
            max_p95_ratio: values::Decimal::new(2.0),
        },
        keep: Keep { builds: 5, warm: 1, static_days: 30 },
        migrate: Migrate { run: false, databases: vec!["default".to_string()] },
        hooks: Hooks::none(minute),
        notify: Notify {
            webhook: None,
            secret: None,
            events: vec![Hook::AfterSwap, Hook::AfterRollback, Hook::OnFailure],
        },
        env: BTreeMap::new(),
        lines: BTreeMap::new(),
    };
    assert_eq!(good(""), expected);
    assert_eq!(good("[site]\n[python]\n[node]\n[env]\n"), expected);
}

#[test]
fn an_error_says_what_why_and_what_to_write() {
    let cases = [
        (
            "# shop\n\n[uwsgi]\nworkers = 0",
            "builds.toml line 4: uwsgi.workers = 0\n\
             there must be at least 1 worker\n\
             write a number from 1 to 1024, for example: workers = 2",
        ),
        (
            "[init]\ncommands = [\n  [\"true\"],\n  \"manage.py migrate\",\n]",
            "builds.toml line 4: init.commands = [… \"manage.py migrate\" …]\n\
             this is a string where a list belongs\n\
             write a list of commands, each a list of a program and its arguments, for example: \
             commands = [[\"python\", \"manage.py\", \"migrate\"]]",
        ),
        (
            "uwsgi = 3",
            "builds.toml line 1: uwsgi\n\
             this is a whole number where a section belongs\n\
             write a section, with its keys on the lines below, for example: [uwsgi]",
        ),
        (
            "[site]\nname = shop\n",
            "builds.toml line 2: this is not TOML\n\
             string values must be quoted, expected literal string\n\
             write a section as [uwsgi] and a key as workers = 2, each on a line of its own; text \
             stands in quotes: name = \"shop\"",
        ),
        (
            "[env]\nPATH = \"/bin\"",
            "builds.toml line 2: env.PATH\n\
             builds sets this variable itself, with a value of each build\n\
             write a name that builds does not set, or delete the line, for example: \
             SITE_PATH = \"…\"",
        ),
    ];
    for (text, expected) in cases {
        let error = bad(text);
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.file, Path::new(FILE));
        assert_eq!(expected, format!("{}\n{}\n{}", error.what(), error.cause(), error.next()));
    }
}

#[test]
fn the_first_problem_of_the_file_is_reported() {
    for (text, key, line) in [
        ("[nginx]\nworker = 1\n[site]\nname = 1", Some("nginx.worker"), Some(2)),
        ("[site]\nname = 1\n[nginx]\nworker = 1", Some("site.name"), Some(2)),
        ("[warmup]\npaths = []\n[site]\nname = 1", Some("warmup.paths"), Some(2)),
        ("[site]\nsorce = 1\nname = 1", Some("site.sorce"), Some(2)),
        ("[uwsgi]\ncheaper = 2\n[site]\nname = 1", Some("uwsgi.cheaper"), Some(2)),
        ("[uwsgi]\ncheaper = 3\nworkers = 0", Some("uwsgi.workers"), Some(3)),
        ("a = 1\na = 2\n[x", None, Some(2)),
        ("[site]\nname = 1\n[x", None, Some(3)),
        ("a = [\n\n\n", None, Some(1)),
        ("a = \"\"\"\n", None, Some(1)),
        ("\r\n[uwsgi]\r\nworkers = 0\r\n", Some("uwsgi.workers"), Some(3)),
        ("\u{feff}[uwsgi]\nworkers = 0\n", Some("uwsgi.workers"), Some(2)),
    ] {
        let error = bad(text);
        assert_eq!((error.key.as_deref(), error.line), (key, line), "{text}\n{error}");
    }
}

#[test]
fn a_long_value_is_cut_and_stays_on_its_line() {
    let error = bad(&format!("site.host = '''a\n{}'''", "é".repeat(90)));
    let value = error.value.unwrap();
    assert_eq!(value, format!("'''a {}…", "é".repeat(75)));
}

#[test]
fn no_secret_is_shown() {
    let config = good("env.TOKEN = \"hunter2\"");
    assert_eq!(config.env["TOKEN"], "hunter2");
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");

    for text in [
        "[env]\nTOKEN = hunter2",
        "[env]\nTOKEN = \"hunter2",
        "[env]\nTOKEN = '''\nhunter2",
        "[env]\nTOKEN = \"hunter2\\q\"",
        "[env]\nTOKEN = \"hunter2\\u0000\"",
        "[env]\nTOKEN = \"\" hunter2",
        "[env]\nTOKEN = [\"hunter2\"]",
        "[env]\nTOKEN = { a = \"hunter2\" }",
        "[env]\nA.B = \"hunter2\"",
        "[env]\nPATH = \"hunter2\"",
        "[env]\n1A = \"hunter2\"",
        "[env]\n\"A B\" = \"hunter2\"",
        "[env]\nA = \"hunter2\"\nA = \"hunter2\"",
        "[[env]]\nA = \"hunter2\"",
        "env = \"hunter2\"",
        "env = [\"A=hunter2\"]",
        "[environment]\nA = \"hunter2\"",
        "[site]\ntoken = \"hunter2\"",
        "[site.env]\nA = \"hunter2\"",
    ] {
        let error = bad(text);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

/// Text that reaches the rules: a key that exists with a value that is mostly TOML.
fn nearly_right() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "site.name",
        "site.root",
        "site.source",
        "site.exclude",
        "site.host",
        "python.requirements",
        "node.package_dir",
        "init.commands",
        "uwsgi.module",
        "uwsgi.workers",
        "uwsgi.cheaper",
        "nginx.live_listen",
        "nginx.stage_listen",
        "nginx.health_path",
        "warmup.paths",
        "warmup.expect",
        "env.A",
        "env",
        "[site]\n",
        "[[nginx]]\n",
    ]);
    let value = prop_oneof![
        any::<String>().prop_map(|text| format!("{text:?}")),
        any::<String>().prop_map(|text| format!("[{text:?}, [{text:?}]]")),
        "'[a-z0-9:./\\[\\]%]{0,20}'",
        any::<i128>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "\\PC*",
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    prop::collection::vec(line, 0..4).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn an_unknown_key_is_named(section in "site|python|node|assets|init|uwsgi|nginx|warmup|gates|keep|migrate|hooks|notify", key in "[a-zA-Z0-9_-]{1,12}") {
        if let Err(error) = read(&format!("[{section}]\n{key} = {{}}")) {
            prop_assert_eq!(error.key.as_deref(), Some(&*format!("{section}.{key}")));
            prop_assert_eq!(error.line, Some(2));
        } else {
            prop_assert!(false, "taken: {} {}", section, key);
        }
        if let Err(error) = read(&format!("[x{key}]")) {
            prop_assert_eq!(error.key.as_deref(), Some(&*format!("x{key}")));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![any::<String>(), nearly_right()]) {
        if let Err(error) = read(&text) {
            let lines = text.lines().count().max(1);
            prop_assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{}", error);
            let syntax = matches!(*error.problem, Problem::Syntax { .. });
            prop_assert_eq!(error.key.is_none(), syntax);
            prop_assert!(!error.what().contains(char::is_control), "{}", error);
        }
    }
}
