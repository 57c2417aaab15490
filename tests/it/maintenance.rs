//! Visitors of live get a page, and nobody reloads nginx for it.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::blocking::{Client, Response};
use serde_json::Value;

use crate::site::{Site, wait_for};

fn post(port: u16, path: &str, body: Vec<u8>) -> Response {
    Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("http://localhost:{port}{path}"))
        .body(body)
        .send()
        .unwrap()
}

#[test]
fn visitors_of_live_get_the_page_and_nothing_else_changes() {
    for mode in ["socket", "port"] {
        let site = Site::ready("plain", &format!("\n[nginx]\nupstream = \"{mode}\"\nhealth_path = \"/well/\"\n"));
        fs::write(site.root().join("assets/static/x.txt"), "x").unwrap();
        fs::write(site.root().join("assets/media/y.txt"), "y").unwrap();
        let workers = workers(&site);
        assert_eq!(site.json(&["status"])["maintenance"], Value::Null);

        assert_eq!(site.ok(&["maintenance", "on"]), "maintenance is on: visitors of live get 503, but for /well/\n");
        for size in [0, 4, 20_000_000] {
            let answer = post(site.live_port(), "/form", vec![b'x'; size]);
            assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"60".parse().unwrap()));
            assert!(answer.text().unwrap().contains("<h1>Back soon</h1>"), "{size} bytes, {mode}");
        }
        assert_eq!(site.live("/").0, 503);
        assert_eq!(site.live("/static/x.txt"), (200, "x".into()));
        assert_eq!(site.live("/media/y.txt"), (200, "y".into()));
        assert!(site.live("/well/").1.contains(r#""path": "/well/""#), "{:?}", site.live("/well/"));
        assert!(site.staged("/").1.contains(r#""build": "b""#));

        let said = site.json(&["maintenance", "on"]);
        assert_eq!((&said["changed"], &said["maintenance"]), (&false.into(), &true.into()));
        let since = site.json(&["status"])["maintenance"].as_u64().unwrap();
        assert!(since > 1_700_000_000, "{since}");
        assert!(site.ok(&["status"]).starts_with("in maintenance for "));

        assert_eq!(self::workers(&site), workers, "nobody reloads nginx");
        site.ok(&["swap-live"]);
        assert_eq!(site.live("/").0, 503);
        assert_eq!(site.ok(&["maintenance", "off"]), "maintenance is off\n");
        assert!(site.live("/").1.contains(r#""build": "b""#));
        site.unchanged(&["maintenance", "off"]);
    }
}

#[test]
fn an_applications_own_503_is_its_own() {
    let site = Site::up("plain", "");
    site.write(
        "wsgi.py",
        "def application(environ, start_response):\n    \
         start_response('503 No', [('Retry-After', '7')])\n    return [b'mine']\n",
    );
    site.run(&["init", "-q"]);
    site.write("builds.toml", &(site.read("builds.toml") + "[warmup]\nexpect = 503\n"));
    site.ok(&["init"]);
    assert_eq!(site.live("/"), (503, "mine".into()));
    site.ok(&["maintenance", "on"]);
    assert!(site.live("/").1.contains("Back soon"));
    assert_eq!(site.live("/health"), (503, "mine".into()));
    fs::remove_file(site.build("a").join("run/web.sock")).unwrap();
    assert!(site.live("/health").1.contains("Back in a moment"));
    site.ok(&["maintenance", "off"]);
    assert!(site.live("/").1.contains("Back in a moment"));
}

#[test]
fn it_is_not_on_where_nginx_does_not_look() {
    let site = Site::ready("plain", "");
    let flag = site.root().join("assets/_live.maintenance");
    let path = "deploy/conf/locations.conf";
    let shipped = site.read(path);
    site.write(path, &shipped.replace("if (-e", "# if (-e"));
    let said = site.fails(1, &["maintenance", "on"]);
    assert!(said.contains("it lacks `$own.maintenance`") && said.contains("next: rm "), "{said}");
    assert!(!flag.exists());

    // nginx has loaded one that does not look.
    site.write(path, &shipped.replace("return 591;", ""));
    reload(&site);
    site.write(path, &shipped);
    let said = site.fails(1, &["maintenance", "on"]);
    assert!(said.contains("it answers 200 for localhost") && said.contains("next: nginx -t and nginx -s"), "{said}");
    assert!(!flag.exists() && site.live("/").0 == 200);
    reload(&site);
    site.ok(&["maintenance", "on"]);

    // It was on before: a failure leaves it so.
    site.write(path, &shipped.replace("return 591;", ""));
    reload(&site);
    site.write(path, &shipped);
    site.fails(1, &["maintenance", "on"]);
    assert!(flag.exists());
}

#[test]
fn it_is_not_on_without_a_page() {
    let site = Site::ready("plain", "");
    fs::remove_file(site.root().join("conf/pages/maintenance.html")).unwrap();
    let said = site.fails(1, &["maintenance", "on"]);
    assert!(said.contains("nginx has no page to show") && said.contains("it answers 404: it cannot read"), "{said}");
    assert_eq!(site.live("/").0, 200);
    site.ok(&["init"]);
    site.ok(&["maintenance", "on"]);
    assert_eq!(site.live("/").0, 503);
}

#[test]
fn where_nobody_can_tell_it_says_so() {
    let mut site = Site::ready("plain", "");
    let conf = site.read("deploy/conf/site.conf");
    let elsewhere = format!("127.0.0.1:{}", site.ports.base + 97);
    site.write("deploy/conf/site.conf", &conf.replace(&format!("127.0.0.1:{}", site.live_port()), &elsewhere));
    reload(&site);
    let said = site.run(&["maintenance", "on"]);
    assert!(said.code == 0 && said.err.contains("could not be asked whether it shows the page: "), "{said:?}");
    site.stop();
    let said = site.run(&["maintenance", "on"]);
    assert!(said.code == 0 && said.err.contains("nginx does not run"), "{said:?}");
    assert_eq!(site.json(&["maintenance", "off"])["changed"], true);
}

/// The processes of nginx's workers.
fn workers(site: &Site) -> Vec<String> {
    let pid = site.read("deploy/run/nginx.pid").trim().to_owned();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(str::to_owned).collect()
}

/// Lets nginx read its files anew.
fn reload(site: &Site) {
    let pid = site.read("deploy/run/nginx.pid").trim().parse().unwrap();
    let before = workers(site);
    kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    wait_for("new workers", || {
        let now = workers(site);
        !now.is_empty() && now.iter().all(|worker| !before.contains(worker))
    });
}
