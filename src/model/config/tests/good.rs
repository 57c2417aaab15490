//! Values that are taken, and where the site's name and root come from.

use std::path::{Path, PathBuf};

use super::{ArgumentList, Config, Hook, Installer, Upstream, bad, excludes, good, parse};

fn words(list: &ArgumentList) -> Vec<&str> {
    list.as_slice().iter().map(String::as_str).collect()
}

#[test]
fn a_key_is_found_again_in_the_file() {
    let config = good("[site]\n\nsource = 'app'\n");
    assert_eq!(config.place("site.source"), "builds.toml line 3: site.source");
    assert_eq!(config.place("site.overlay"), "builds.toml: site.overlay is not given, and its default");
}

#[test]
fn the_directory_names_a_site_that_has_no_name() {
    let long = format!("/srv/{}-tail/builds.toml", "x".repeat(31));
    for (file, name) in [
        ("/srv/My Shop.2/builds.toml", "my-shop-2"),
        ("/srv/__shop__/builds.toml", "shop"),
        ("/srv/Été/builds.toml", "t"),
        ("/srv/店/builds.toml", "site"),
        ("/builds.toml", "site"),
        (long.as_str(), &"x".repeat(31)),
    ] {
        let config = parse("[site]\nroot = \"/srv/deploy\"", Path::new(file)).unwrap();
        assert_eq!(config.site.name, name, "{file}");
    }
}

#[test]
fn good_values_are_taken() {
    type Case = (&'static str, fn(&Config) -> bool);
    let cases: &[Case] = &[
        (r#"site.name = "a""#, |c| c.site.name == "a"),
        (r#"site.name = "0123456789-abcdefghijklmnopqrstu""#, |c| c.site.name.len() == 32),
        (r#"site.root = "../d_1.x+y-z/./w""#, |c| c.site.root == Path::new("/srv/d_1.x+y-z/w")),
        (r#"site.root = "/opt/../../var/d/""#, |c| c.site.root.as_os_str() == "/var/d"),
        (r#"site.source = "src/.""#, |c| c.site.source.as_os_str() == "/srv/shop/src"),
        (r#"site.source = "deploy-er""#, |c| c.site.source.ends_with("deploy-er")),
        (r#"site.source = "/home/é/a b""#, |c| c.site.source.as_os_str() == "/home/é/a b"),
        (r#"site.overlay = "../over""#, |c| c.site.overlay == Some("/srv/over".into())),
        (r#"site.exclude = ["*.log", "?", "/a/**/b/"]"#, |c| c.site.exclude == excludes(&["*.log", "?", "/a/**/b/"])),
        ("site.exclude = []", |c| c.site.exclude == excludes(&[])),
        ("watch.max_error_rate = 0.002_5", |c| c.watch.max_error_rate.value() == 0.0025),
        ("watch.max_error_rate = 1", |c| c.watch.max_error_rate.value() == 1.0),
        ("watch.max_p95_ratio = 1e1", |c| c.watch.max_p95_ratio.value() == 10.0),
        ("site.git_stamp = true", |c| c.site.git_stamp),
        ("site.base_port = 1024", |c| c.site.base_port == 1024),
        ("site.base_port = 65_535", |c| c.site.base_port == 65535),
        (r#"site.host = "[::1]:80_a.B""#, |c| c.site.host == "[::1]:80_a.B"),
        ("site.step_timeout = 1", |c| c.site.step_timeout.as_secs() == 1),
        (r#"python.interpreter = "python3.12""#, |c| c.python.interpreter.as_os_str() == "python3.12"),
        (r#"python.interpreter = "./py""#, |c| c.python.interpreter.as_os_str() == "/srv/shop/py"),
        (r#"python.requirements = ["a.txt", "x/../b.txt"]"#, |c| {
            c.python.requirements == Some(vec!["a.txt".into(), "b.txt".into()])
        }),
        ("python.requirements = []", |c| c.python.requirements == Some(Vec::new())),
        (r#"python.installer = "pip""#, |c| c.python.installer == Installer::Pip),
        (r#"python.installer = "uv""#, |c| c.python.installer == Installer::Uv),
        (r#"node.package_dir = "web/ui/""#, |c| c.node.package_dir.as_os_str() == "web/ui"),
        (r#"node.package_dir = "web/..""#, |c| c.node.package_dir.as_os_str() == "."),
        ("assets.commands = []", |c| c.assets.commands == Some(Vec::new())),
        (r#"assets.commands = [["make", ""], ["b"]]"#, |c| {
            let commands = c.assets.commands.as_deref().unwrap_or_default();
            commands.iter().map(words).collect::<Vec<_>>() == [vec!["make", ""], vec!["b"]]
        }),
        (r#"init.commands = [["sh", "-c", "a\nb"]]"#, |c| words(&c.init.commands[0]) == ["sh", "-c", "a\nb"]),
        (r#"uwsgi.binary = "/opt/uwsgi""#, |c| c.uwsgi.binary.as_os_str() == "/opt/uwsgi"),
        (r#"uwsgi.module = "a_1.b""#, |c| c.uwsgi.module.as_deref() == Some("a_1.b:application")),
        (r#"uwsgi.module = "a:b""#, |c| c.uwsgi.module.as_deref() == Some("a:b")),
        ("uwsgi.workers = 1", |c| c.uwsgi.workers == 1),
        ("uwsgi.workers = 0x400", |c| c.uwsgi.workers == 1024),
        ("uwsgi.threads = 1024", |c| c.uwsgi.threads == 1024),
        ("uwsgi.cheaper = 1", |c| c.uwsgi.cheaper == 1),
        ("uwsgi.cheaper = 1023\nuwsgi.workers = 1024", |c| c.uwsgi.cheaper == 1023),
        ("uwsgi.listen = 65535", |c| c.uwsgi.listen == 65535),
        ("uwsgi.start_timeout = 1", |c| c.uwsgi.start_timeout.as_secs() == 1),
        ("uwsgi.drain_timeout = 3600", |c| c.uwsgi.drain_timeout.as_secs() == 3600),
        (r#"nginx.upstream = "port""#, |c| c.nginx.upstream == Upstream::Port),
        (r#"nginx.upstream = "socket""#, |c| c.nginx.upstream == Upstream::Socket),
        (r#"nginx.binary = "/usr/sbin/nginx""#, |c| c.nginx.binary.as_os_str() == "/usr/sbin/nginx"),
        ("nginx.live_listen = 80", |c| c.nginx.live_listen.to_string() == "80"),
        (r#"nginx.live_listen = "80""#, |c| c.nginx.live_listen.to_string() == "80"),
        (r#"nginx.live_listen = "0.0.0.0:80""#, |c| c.nginx.live_listen.to_string() == "0.0.0.0:80"),
        (r#"nginx.stage_listen = "[::1]:8080""#, |c| c.nginx.stage_listen.to_string() == "[::1]:8080"),
        (r#"nginx.health_path = "/-/ok_1.txt""#, |c| c.nginx.health_path == "/-/ok_1.txt"),
        ("nginx.live_listen = 80", |c| c.nginx.live_listen.reachable().to_string() == "127.0.0.1:80"),
        (r#"nginx.live_listen = "[::]:80""#, |c| c.nginx.live_listen.reachable().to_string() == "[::1]:80"),
        (r#"nginx.live_listen = "10.0.0.1:80""#, |c| c.nginx.live_listen.reachable().to_string() == "10.0.0.1:80"),
        (r#"nginx.test = ["sudo", "nginx", "-t"]"#, |c| words(&c.nginx.test) == ["sudo", "nginx", "-t"]),
        (r#"nginx.reload = ["x"]"#, |c| words(&c.nginx.reload) == ["x"]),
        (r#"nginx.pid_file = "/a""#, |c| c.nginx.pid_file.as_os_str() == "/a"),
        (r#"warmup.paths = ["/a?b=c", "/é"]"#, |c| {
            c.warmup.paths.iter().map(|page| page.path.as_str()).collect::<Vec<_>>() == ["/a?b=c", "/é"]
        }),
        (r#"warmup.paths = [{ path = "/a", expect = 404, contains = "No such" }, "/b"]"#, |c| {
            let [a, b] = &c.warmup.paths[..] else { return false };
            a.path == "/a" && a.expect == Some(vec![404]) && a.contains.as_deref() == Some("No such") && b.path == "/b"
        }),
        ("[[warmup.paths]]\npath = '/a'\n[[warmup.paths]]\npath = '/b'\nexpect = [200, 204]", |c| {
            c.warmup.paths.len() == 2 && c.warmup.paths[1].expect == Some(vec![200, 204])
        }),
        ("warmup.max_p95_ms = 60_000", |c| c.warmup.max_p95_ms == Some(60_000)),
        ("warmup.concurrency = 1024", |c| c.warmup.concurrency == 1024),
        ("warmup.expect = 204", |c| c.warmup.expect == [204]),
        ("warmup.expect = [100, 599]", |c| c.warmup.expect == [100, 599]),
        ("warmup.timeout = 3600", |c| c.warmup.timeout.as_secs() == 3600),
        (r#"gates.before_stage = [["a", "b"], ["c"]]"#, |c| {
            c.gates.before_stage.iter().map(words).collect::<Vec<_>>() == [vec!["a", "b"], vec!["c"]]
        }),
        (r#"gates.before_live = [["a"]]"#, |c| words(&c.gates.before_live[0]) == ["a"]),
        ("gates.timeout = 1", |c| c.gates.timeout.as_secs() == 1),
        ("migrate.run = true", |c| c.migrate.run),
        ("keep.warm = 100", |c| c.keep.warm == 100),
        (r#"hooks.before_swap = [["a", "b"]]"#, |c| words(&c.hooks.of(Hook::BeforeSwap)[0]) == ["a", "b"]),
        (r#"hooks.on_failure = [["a"], ["b"]]"#, |c| c.hooks.of(Hook::OnFailure).len() == 2),
        ("hooks.timeout = 3600", |c| c.hooks.timeout.as_secs() == 3600),
        (r#"notify.webhook = "https://a.example/b?c=d""#, |c| {
            c.notify.webhook.as_deref() == Some("https://a.example/b?c=d")
        }),
        (r#"notify.secret = "shh""#, |c| {
            c.notify.secret.as_deref() == Some("shh") && !format!("{c:?}").contains("shh")
        }),
        (r#"notify.events = ["before_create"]"#, |c| c.notify.events == [Hook::BeforeCreate]),
        (r#"migrate.databases = ["default", "log"]"#, |c| c.migrate.databases == ["default", "log"]),
        (r#"env.A_b1 = """#, |c| c.env["A_b1"].is_empty()),
        ("env._ = '''a\nb'''", |c| c.env["_"] == "a\nb"),
        ("[env]\nA = \"1\"\nB = \"2\"", |c| c.env.len() == 2),
    ];
    for (text, holds) in cases {
        assert!(holds(&good(text)), "{text}");
    }
}

#[test]
fn a_root_of_74_bytes_is_the_longest() {
    let longest = format!("/{}", "r".repeat(73));
    assert_eq!(longest.len() + "/builds/zzz/run/vassal.stats".len(), 102);
    assert_eq!(good(&format!("site.root = {longest:?}")).site.root, Path::new(&longest));

    let error = bad(&format!("\n\n[site]\nroot = \"{longest}rr\""));
    assert_eq!(
        error.to_string(),
        format!(
            "builds.toml line 4: site.root = \"{longest}rr\"\n\
             its full path is {longest}rr, 2 bytes too long: a uWSGI socket path holds at most \
             102 bytes\n\
             write a shorter site.root of at most 74 bytes, for example: root = \"/srv/shop-deploy\""
        )
    );
}

#[test]
fn a_default_that_is_wrong_has_no_line() {
    let file = PathBuf::from(format!("/{}/builds.toml", "d".repeat(67)));
    let error = parse("", &file).unwrap_err();
    assert_eq!((error.line, error.value.as_deref()), (None, None));
    assert_eq!(error.what(), "builds.toml: site.root");
    assert!(error.cause().contains(", 1 byte too long: "), "{error}");

    let error = parse("[uwsgi]\nworkers = 0", &file).unwrap_err();
    assert_eq!(error.line, Some(2), "what the file says comes first: {error}");
}

#[test]
fn a_root_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let file = Path::new(std::ffi::OsStr::from_bytes(b"/srv/\xff/builds.toml"));
    let error = parse("", file).unwrap_err();
    assert!(error.cause().ends_with("and '\u{fffd}' may not stand in it"), "{error}");
}

#[test]
fn a_relative_file_gives_no_root() {
    let error = parse("", Path::new("builds.toml")).unwrap_err();
    assert_eq!(error.cause(), "deploy cannot be a site root");
}
