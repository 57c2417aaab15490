//! Every key's bad values, each on line 4.

use super::{bad, good};

/// The section, the line and the cause.
type Case = (&'static str, &'static str, &'static str);

const NAME: &str = "may have only a-z, 0-9 and -";
const PRINTABLE: &str = "it has '\\n', but may have only printable characters";
const NUL: &str = "it has '\\0', but may have only characters other than NUL";
const GLOB: &str = r"may have only characters other than [ ] { } and \";
const HOST: &str = "may have only letters, digits and . - : [ ] _";
const MODULE: &str = "it is not of the form package.module:callable";
const PROGRAM: &str = "may have only letters, digits and / . _ + -";
const ENV: &str = "may have only letters, digits and _, and no digit in front";
const OUTSIDE: &str = "it leads out of the source";
const BUILDS: &str = "builds sets this variable itself, with a value of each build";
const NO_LISTEN: &str = "nginx cannot listen on it";

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("site", r#"name = """#, "it is empty"),
    ("site", r#"name = "Shop""#, "it has 'S', but {NAME}"),
    ("site", r#"name = "a_b""#, "it has '_', but {NAME}"),
    ("site", r#"name = "0123456789-0123456789-0123456789-""#, "it has 33 characters, but may have only 32"),
    ("site", "name = 1", "this is a whole number where a string belongs"),
    ("site", r#"root = """#, "it is empty"),
    ("site", r#"root = "/""#, "/ cannot be a site root"),
    ("site", r#"root = "../..""#, "/ cannot be a site root"),
    ("site", r#"root = "a b""#, "its full path is /srv/shop/a b, and ' ' may not stand in it"),
    ("site", r#"root = "~/d""#, "its full path is /srv/shop/~/d, and '~' may not stand in it"),
    ("site", r#"root = "a%b""#, "its full path is /srv/shop/a%b, and '%' may not stand in it"),
    ("site", r#"root = "é""#, "its full path is /srv/shop/é, and 'é' may not stand in it"),
    ("site", r#"root = "a\nb""#, "{PRINTABLE}"),
    ("site", r#"root = ".""#, "the source /srv/shop lies in the site root /srv/shop, which builds fills with copies of it"),
    ("site", r#"root = "..""#, "the source /srv/shop lies in the site root /srv, which builds fills with copies of it"),
    ("site", "root = true", "this is true or false where a string belongs"),
    ("site", r#"source = """#, "it is empty"),
    ("site", r#"source = "a\u0000""#, "{NUL}"),
    ("site", r#"source = "deploy""#, "the source /srv/shop/deploy lies in the site root /srv/shop/deploy, which builds fills with copies of it"),
    ("site", r#"source = "deploy/src""#, "the source /srv/shop/deploy/src lies in the site root /srv/shop/deploy, which builds fills with copies of it"),
    ("site", "source = 1.5", "this is a number with a fraction where a string belongs"),
    ("site", r#"overlay = """#, "it is empty"),
    ("site", "overlay = []", "this is a list where a string belongs"),
    ("site", r#"exclude = ["a", "b//c"]"#, "a part of it is empty, . or .., which no file is called"),
    ("site", r#"exclude = ["!a"]"#, "it starts with '!', but there are no exceptions"),
    ("site", r#"exclude = ["/"]"#, "it is empty"),
    ("site", r#"exclude = ["*.py[co]"]"#, "it has '[', but {GLOB}"),
    ("site", r#"exclude = ["*.{a,b}"]"#, "it has '{', but {GLOB}"),
    ("site", r#"exclude = ["\\*"]"#, "it has '\\\\', but {GLOB}"),
    ("site", r#"exclude = [""]"#, "it is empty"),
    ("site", r#"exclude = "*.pyc""#, "this is a string where a list belongs"),
    ("site", "exclude = [1]", "this is a whole number where a string belongs"),
    ("site", r#"git_stamp = "yes""#, "this is a string where true or false belongs"),
    ("watch", "seconds = 3601", "the highest possible is 3600"),
    ("watch", "max_error_rate = 1.5", "the highest possible is 1"),
    ("watch", "max_error_rate = -0.1", "the lowest possible is 0"),
    ("watch", "max_error_rate = nan", "the lowest possible is 0"),
    ("watch", "max_p95_ratio = 0.5", "the lowest possible is 1"),
    ("watch", "max_p95_ratio = inf", "the highest possible is 1000"),
    ("watch", r#"max_p95_ratio = "2""#, "this is a string where a number belongs"),
    ("site", "git_stamp = 1", "this is a whole number where true or false belongs"),
    ("site", "base_port = 1023", "the lowest possible is 1024"),
    ("site", "base_port = 65536", "the highest possible is 65535"),
    ("site", "base_port = 1979-05-27", "this is a date or time where a whole number belongs"),
    ("site", r#"host = """#, "it is empty"),
    ("site", r#"host = "a;b""#, "it has ';', but {HOST}"),
    ("site", r#"host = "é""#, "it has 'é', but {HOST}"),
    ("python", r#"interpreter = """#, "it is empty"),
    ("python", "interpreter = 3", "this is a whole number where a string belongs"),
    ("python", r#"requirements = "a.txt""#, "this is a string where a list belongs"),
    ("python", r#"requirements = ["/a.txt"]"#, "{OUTSIDE}"),
    ("python", r#"requirements = ["a/../../b"]"#, "{OUTSIDE}"),
    ("python", r#"requirements = ["a.txt", ""]"#, "it is empty"),
    ("python", r#"installer = "poetry""#, "it is none of the known words"),
    ("python", r#"installer = """#, "it is none of the known words"),
    ("python", "installer = false", "this is true or false where a string belongs"),
    ("node", r#"package_dir = "..""#, "{OUTSIDE}"),
    ("node", r#"package_dir = "/web""#, "{OUTSIDE}"),
    ("node", "package_dir = []", "this is a list where a string belongs"),
    ("assets", r#"commands = "make""#, "this is a string where a list belongs"),
    ("assets", "commands = [[]]", "it names no program"),
    ("assets", r#"commands = [["", "a"]]"#, "it names no program"),
    ("assets", r#"commands = [["a\u0000"]]"#, "{NUL}"),
    ("assets", "commands = [{ a = 1 }]", "this is a table where a list belongs"),
    ("init", r#"commands = ["make"]"#, "this is a string where a list belongs"),
    ("init", r#"commands = [["a", 1]]"#, "this is a whole number where a string belongs"),
    ("uwsgi", r#"binary = """#, "it is empty"),
    ("uwsgi", r#"binary = "uwsgi;id""#, "it has ';', but {PROGRAM}"),
    ("uwsgi", r#"binary = "bin/uwsgi""#, "it is neither a name nor an absolute path"),
    ("uwsgi", r#"module = """#, "it is empty"),
    ("uwsgi", r#"module = "a b""#, "it has ' ', but may have only letters, digits and _ . :"),
    ("uwsgi", r#"module = "a-b""#, "it has '-', but may have only letters, digits and _ . :"),
    ("uwsgi", r#"module = "a..b""#, "{MODULE}"),
    ("uwsgi", r#"module = ".a""#, "{MODULE}"),
    ("uwsgi", r#"module = "a.:b""#, "{MODULE}"),
    ("uwsgi", r#"module = ":b""#, "{MODULE}"),
    ("uwsgi", r#"module = "a:""#, "{MODULE}"),
    ("uwsgi", r#"module = "a:b:c""#, "{MODULE}"),
    ("uwsgi", "workers = 0", "there must be at least 1 worker"),
    ("uwsgi", "workers = -1", "there must be at least 1 worker"),
    ("uwsgi", "workers = 1025", "there must be at most 1024 workers"),
    ("uwsgi", "workers = 99999999999999999999", "there must be at most 1024 workers"),
    ("uwsgi", "workers = -99999999999999999999", "there must be at least 1 worker"),
    ("uwsgi", r#"workers = "2""#, "this is a string where a whole number belongs"),
    ("uwsgi", "workers = 2.0", "this is a number with a fraction where a whole number belongs"),
    ("uwsgi", "workers.n = 2", "this is a table where a whole number belongs"),
    ("uwsgi", "threads = 0", "there must be at least 1 thread"),
    ("uwsgi", "threads = 1025", "there must be at most 1024 threads"),
    ("uwsgi", "cheaper = -1", "there must be at least 0 workers"),
    ("uwsgi", "cheaper = 2", "workers is 2, and cheaper must be lower"),
    ("uwsgi", "cheaper = 1024", "there must be at most 1023 workers"),
    ("uwsgi", "listen = 0", "there must be at least 1 connection"),
    ("uwsgi", "listen = 65536", "there must be at most 65535 connections"),
    ("uwsgi", "start_timeout = 0", "there must be at least 1 second"),
    ("uwsgi", "start_timeout = 3601", "there must be at most 3600 seconds"),
    ("site", "step_timeout = 0", "there must be at least 1 second"),
    ("uwsgi", "drain_timeout = 0", "there must be at least 1 second"),
    ("uwsgi", "drain_timeout = 3601", "there must be at most 3600 seconds"),
    ("nginx", r#"upstream = "tcp""#, "it is none of the known words"),
    ("nginx", r#"binary = """#, "it is empty"),
    ("nginx", r#"binary = "/opt/my nginx""#, "it has ' ', but {PROGRAM}"),
    ("nginx", "live_listen = 0", "the lowest possible is 1"),
    ("nginx", "live_listen = 65536", "the highest possible is 65535"),
    ("nginx", r#"live_listen = "0""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "65536""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "+80""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "localhost:80""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "127.0.0.1""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "127.0.0.1:0""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "::1:80""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "[fe80::1%2]:80""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = "80 ssl""#, "{NO_LISTEN}"),
    ("nginx", r#"live_listen = """#, "it is empty"),
    ("nginx", "live_listen = true", "this is true or false where a string belongs"),
    ("nginx", r#"live_listen = "127.0.0.1:8081""#, "live_listen is 127.0.0.1:8081 and stage_listen is 127.0.0.1:8081: one request could be meant for both"),
    ("nginx", "live_listen = 8081", "live_listen is 8081 and stage_listen is 127.0.0.1:8081: one request could be meant for both"),
    ("nginx", r#"stage_listen = "127.0.0.1:8080""#, "live_listen is 127.0.0.1:8080 and stage_listen is 127.0.0.1:8080: one request could be meant for both"),
    ("nginx", r#"stage_listen = "[::]:8080""#, "live_listen is 127.0.0.1:8080 and stage_listen is [::]:8080: one request could be meant for both"),
    ("nginx", r#"stage_listen = "x""#, "{NO_LISTEN}"),
    ("nginx", r#"health_path = "health""#, "it does not start with /"),
    ("nginx", r#"health_path = "/health;""#, "it has ';', but may have only letters, digits and / . _ + -"),
    ("nginx", "test = []", "it names no program"),
    ("nginx", r#"test = "nginx -t""#, "this is a string where a list belongs"),
    ("nginx", r#"reload = [""]"#, "it names no program"),
    ("nginx", r#"reload = ["a", "b\u0000"]"#, "{NUL}"),
    ("nginx", r#"pid_file = "nginx.pid""#, "it does not start with /"),
    ("nginx", r#"pid_file = """#, "it is empty"),
    ("keep", "builds = -1", "the lowest possible is 0"),
    ("keep", "builds = 1001", "the highest possible is 1000"),
    ("keep", "static_days = 3651", "the highest possible is 3650"),
    ("warmup", "paths = []", "it is empty"),
    ("warmup", r#"paths = "/""#, "this is a string where a list belongs"),
    ("warmup", r#"paths = ["/", "a"]"#, "it does not start with /"),
    ("warmup", r#"paths = ["/a b"]"#, "it has ' ', but may have only characters other than spaces"),
    ("warmup", r#"paths = ["/a\nb"]"#, "{PRINTABLE}"),
    ("warmup", "paths = [1]", "this is a whole number where a string belongs"),
    ("warmup", r#"paths = [{ contains = "a" }]"#, "it has no path"),
    ("warmup", r#"paths = [{ path = "a" }]"#, "it does not start with /"),
    ("warmup", r#"paths = [{ path = "/", expect = 99 }]"#, "the lowest possible is 100"),
    ("warmup", r#"paths = [{ path = "/", contains = "" }]"#, "it is empty"),
    ("warmup", r#"paths = [{ path = "/", host = "x" }]"#, "it has \"host\", but may have only path, expect and contains"),
    ("warmup", "max_p95_ms = 0", "the lowest possible is 1"),
    ("warmup", "max_p95_ms = 60001", "the highest possible is 60000"),
    ("warmup", "concurrency = 0", "there must be at least 1 request"),
    ("warmup", "concurrency = 1025", "there must be at most 1024 requests"),
    ("warmup", "expect = 99", "the lowest possible is 100"),
    ("warmup", "expect = [200, 600]", "the highest possible is 599"),
    ("warmup", "expect = []", "it is empty"),
    ("warmup", r#"expect = "200""#, "this is a string where a whole number belongs"),
    ("warmup", "timeout = 0", "there must be at least 1 second"),
    ("warmup", "timeout = 3601", "there must be at most 3600 seconds"),
    ("gates", r#"before_stage = ["make"]"#, "this is a string where a list belongs"),
    ("gates", r#"before_live = [["a"], []]"#, "it names no program"),
    ("gates", "timeout = 0", "there must be at least 1 second"),
    ("gates", "timeout = 3601", "there must be at most 3600 seconds"),
    ("hooks", r#"before_swap = ["make"]"#, "this is a string where a list belongs"),
    ("keep", "warm = 0", "the lowest possible is 1"),
    ("hooks", "timeout = 0", "there must be at least 1 second"),
    ("notify", r#"webhook = "chat.example.com""#, "it starts with neither http:// nor https://"),
    ("notify", r#"events = ["after_lunch"]"#, "it is none of the known words"),
    ("migrate", r#"run = "yes""#, "this is a string where true or false belongs"),
    ("migrate", "databases = []", "it is empty"),
    ("migrate", r#"databases = ["default", ""]"#, "it is empty"),
    ("env", r#"BUILD_NAME = "a""#, "{BUILDS}"),
    ("env", r#"BUILD_TAG = "a""#, "{BUILDS}"),
    ("env", r#"BUILD_DIR = "a""#, "{BUILDS}"),
    ("env", r#"BUILD_URL = "a""#, "{BUILDS}"),
    ("env", r#"STATIC_ROOT = "a""#, "{BUILDS}"),
    ("env", r#"STATIC_URL = "a""#, "{BUILDS}"),
    ("env", r#"MEDIA_ROOT = "a""#, "{BUILDS}"),
    ("env", r#"PATH = "a""#, "{BUILDS}"),
    ("env", r#"VIRTUAL_ENV = "a""#, "{BUILDS}"),
    ("env", r#"1A = "a""#, "it has '1', but {ENV}"),
    ("env", r#"A-B = "a""#, "it has '-', but {ENV}"),
    ("env", r#"'' = "a""#, "it is empty"),
    ("env", "A = 1", "this is a whole number where a string belongs"),
    ("env", r#"A = "\u0000""#, "{NUL}"),
];

fn spell_out(cause: &str) -> String {
    let names = [
        ("{NAME}", NAME),
        ("{PRINTABLE}", PRINTABLE),
        ("{NUL}", NUL),
        ("{GLOB}", GLOB),
        ("{HOST}", HOST),
        ("{MODULE}", MODULE),
        ("{ENV}", ENV),
        ("{PROGRAM}", PROGRAM),
        ("{OUTSIDE}", OUTSIDE),
        ("{BUILDS}", BUILDS),
        ("{NO_LISTEN}", NO_LISTEN),
    ];
    names.iter().fold(cause.to_string(), |text, (name, full)| text.replace(name, full))
}

#[test]
fn bad_values_are_refused_with_line_key_cause_and_example() {
    for (section, line, cause) in CASES {
        let error = bad(&format!("# a site\n\n[{section}]\n{line}\n"));
        assert_eq!(error.cause(), spell_out(cause), "{line}");
        assert_eq!(error.line, Some(4), "{line}");

        let (name, value) = line.split_once(" = ").unwrap();
        let name = name.split('.').next().unwrap();
        let name = if name == "''" { r#""""# } else { name };
        assert_eq!(error.key, Some(format!("{section}.{name}")), "{line}");
        let shown = error.value.unwrap_or_default();
        let inner = shown.trim_start_matches("[… ").trim_end_matches(" …]");
        assert!(value.contains(inner), "{line}: {shown}");
    }
}

#[test]
fn an_item_of_a_list_is_blamed_on_its_own() {
    for (line, shown) in [
        (r#"paths = ["/", "a"]"#, r#"[… "a" …]"#),
        (r#"expect = [200, 600]"#, "[… 600 …]"),
        ("expect = 99", "99"),
        ("paths = []", "[]"),
    ] {
        assert_eq!(bad(&format!("[warmup]\n{line}")).value.as_deref(), Some(shown), "{line}");
    }
    let error = bad("[warmup]\npaths = [\n  '/',\n  '/b',\n  'c',\n]");
    assert_eq!(error.line, Some(5));
}

#[test]
fn what_is_advised_is_taken() {
    for (section, line, _) in CASES {
        let error = bad(&format!("[{section}]\n{line}\n"));
        let next = error.next();
        let (_, example) = next.split_once(", for example: ").unwrap();
        let key = line.split([' ', '.']).next().unwrap();
        if *section != "env" {
            assert!(example.starts_with(&format!("{key} = ")), "{line}: {example}");
        }
        good(&format!("[{section}]\n{example}\n"));
    }
}

#[test]
fn contradictions_are_blamed_on_the_key_that_the_file_gives() {
    for (text, key, line) in [
        ("nginx.live_listen = 8081", "nginx.live_listen", 1),
        ("nginx.stage_listen = 8080", "nginx.stage_listen", 1),
        ("nginx.live_listen = 1\nnginx.stage_listen = 1", "nginx.stage_listen", 2),
        ("nginx.stage_listen = 65535\nnginx.live_listen = '[::1]:65535'", "nginx.stage_listen", 1),
        ("uwsgi.cheaper = 5\nuwsgi.workers = 5", "uwsgi.cheaper", 1),
        ("site.root = '/a'\nsite.source = '/a/b'", "site.source", 2),
        ("site.root = '/srv'", "site.root", 1),
    ] {
        let error = bad(text);
        assert_eq!((error.key.as_deref(), error.line), (Some(key), Some(line)), "{text}");
        let example = error.next().split_once("example: ").unwrap().1.to_string();
        let section = key.split_once('.').unwrap().0;
        let others = text.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>();
        good(&format!("{}\n{section}.{example}", others.join("\n")));
    }
}

#[test]
fn addresses_that_share_no_request_may_share_a_port() {
    good("nginx.live_listen = '127.0.0.1:80'\nnginx.stage_listen = '127.0.0.2:80'");
    good("nginx.live_listen = 80\nnginx.stage_listen = 81");
}
