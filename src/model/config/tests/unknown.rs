//! Keys and sections that do not exist.

use super::super::error::Problem;
use super::bad;

#[test]
fn the_nearest_key_is_named() {
    for (text, key, nearest) in [
        ("[uwsgi]\nworker = 2", "uwsgi.worker", "uwsgi.workers"),
        ("[uwsgi]\nwrokers = 2", "uwsgi.wrokers", "uwsgi.workers"),
        ("[uwsgi]\nwrkrs = 2", "uwsgi.wrkrs", "uwsgi.workers"),
        ("[uwsgi]\nWORKERS = 2", "uwsgi.WORKERS", "uwsgi.workers"),
        ("[uwsgi]\nstart-timeout = 2", "uwsgi.start-timeout", "uwsgi.start_timeout"),
        ("[site]\nsorce = '.'", "site.sorce", "site.source"),
        ("[site]\nexcludes = []", "site.excludes", "site.exclude"),
        ("[python]\nrequirement = []", "python.requirement", "python.requirements"),
        ("[node]\npackagedir = ''", "node.packagedir", "node.package_dir"),
        ("[assets]\ncommand = []", "assets.command", "assets.commands"),
        ("[init]\ncmmands = []", "init.cmmands", "init.commands"),
        ("[nginx]\npidfile = ''", "nginx.pidfile", "nginx.pid_file"),
        ("[warmup]\npath = ''", "warmup.path", "warmup.paths"),
        ("[nginx]\nworkers = 2", "nginx.workers", "uwsgi.workers"),
        ("#\nconcurrency = 2", "concurrency", "warmup.concurrency"),
        ("#\n[uwgsi]\nworkers = 2", "uwgsi", "uwsgi"),
        ("#\n[warm-up]", "warm-up", "warmup"),
        ("#\n[[sites]]", "sites", "site"),
        ("#\n[environ]", "environ", "env"),
        ("[uwsgi]\ntimeout = 1", "uwsgi.timeout", "uwsgi.start_timeout"),
        ("[nginx]\nlisten = 1", "nginx.listen", "nginx.live_listen"),
        ("#\n'e nv'.a = 1", "\"e nv\"", "env"),
    ] {
        let error = bad(text);
        let Problem::UnknownKey { nearest: found, .. } = &*error.problem else {
            panic!("{text}: {error}");
        };
        assert_eq!(found.as_deref(), Some(nearest), "{text}");
        assert_eq!((error.key.as_deref(), error.line), (Some(key), Some(2)), "{text}");
        assert_eq!(error.value, None);
    }
}

#[test]
fn the_texts_of_an_unknown_key() {
    for (text, expected) in [
        (
            "[uwsgi]\nworker = 2",
            "builds.toml line 2: uwsgi.worker\n\
             the section [uwsgi] has no such key\n\
             write workers in the section [uwsgi]",
        ),
        (
            "[python]\nflavour = 2",
            "builds.toml line 2: python.flavour\n\
             the section [python] has no such key\n\
             delete it, or write one of these: interpreter, requirements, installer",
        ),
        (
            "[uwgsi]",
            "builds.toml line 1: uwgsi\n\
             there is no such section\n\
             write [uwsgi]",
        ),
        (
            "[database]",
            "builds.toml line 1: database\n\
             there is no such section\n\
             delete it, or write one of these: [site], [python], [node], [assets], [init], \
             [uwsgi], [nginx], [warmup], [gates], [watch], [keep], [migrate], [hooks], [notify], [env]",
        ),
        (
            "\"a.\\u001b\" = 1",
            "builds.toml line 1: \"a.\\u{1b}\"\n\
             there is no such section\n\
             delete it, or write one of these: [site], [python], [node], [assets], [init], \
             [uwsgi], [nginx], [warmup], [gates], [watch], [keep], [migrate], [hooks], [notify], [env]",
        ),
    ] {
        assert_eq!(bad(text).to_string(), expected);
    }
}
