//! Sites as they are: Django, both installers, both uWSGIs, and what they show to the host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::look::{backlog, processes_of};
use crate::site::{Site, get};

const MIGRATE: &str = "\n[init]\ncommands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]\n";

#[test]
fn a_django_site_works_with_both_uwsgis_and_both_installers() {
    let site = Site::ready("demo", MIGRATE);
    let old_page = works(&site, "a");
    assert!(site.read("deploy/logs/a.create-python.log").contains("Using Python"), "installed by uv");

    site.ok(&["swap-live"]);
    works(&site, "b");
    assert!(site.live("/guestbook/").1.contains("Greetings to a"), "all builds share what users wrote");
    assert_eq!(site.live("/media/gallery/to-a.png"), (200, "for a".into()), "and what they sent");
    for url in assets(&old_page) {
        assert_eq!([site.live(&url).0, site.staged(&url).0], [200, 200], "{url} of the old build's page");
    }

    site.write("requirements.txt", "Django>=5.2,<5.3\npyuwsgi\n");
    site.configure(&format!("\n[python]\ninstaller = \"pip\"{MIGRATE}"));
    site.ok(&["create", "c"]);
    assert!(site.read("deploy/logs/c.create-python.log").contains("Successfully installed"), "installed by pip");
    site.ok(&["stage", "c"]);
    let (hosts, own) = (whoami(site.live_port()), whoami(site.stage_port()));
    assert_eq!([&hosts["build"], &own["build"]], ["b", "c"]);
    assert!(hosts["uwsgi"].is_string() && own["uwsgi"].is_string() && hosts["uwsgi"] != own["uwsgi"], "{hosts} {own}");
    site.ok(&["swap-live"]);
    works(&site, "c");
    let titles = titles(&site);
    assert!(titles.iter().any(|title| title.contains("it-c-untagged") && title.contains("zerg.ini")), "{titles:?}");
}

/// Uses the live site as a visitor does, and returns its front page.
#[track_caller]
fn works(site: &Site, build: &str) -> String {
    let (status, page) = site.live("/");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains(&format!("Build <b>{build}</b>")), "{page}");
    let urls = assets(&page);
    assert!(urls.iter().any(|url| url.starts_with(&format!("/static/{build}/modern-normalize/"))), "{urls:?}");
    for url in urls {
        assert_eq!(site.live(&url).0, 200, "{url}");
    }

    let form = "application/x-www-form-urlencoded";
    assert_eq!(post(site.live_port(), "/guestbook/", form, &format!("name=Ada&message=Greetings+to+{build}")), 302);
    assert!(site.live("/guestbook/").1.contains(&format!("Greetings to {build}")));

    let upload = format!(
        "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"to-{build}.png\"\r\n\
         Content-Type: image/png\r\n\r\nfor {build}\r\n--X--\r\n"
    );
    assert_eq!(post(site.live_port(), "/gallery/", "multipart/form-data; boundary=X", &upload), 302);
    assert_eq!(site.live(&format!("/media/gallery/to-{build}.png")), (200, format!("for {build}")));
    page
}

/// The static files that a page asks for.
fn assets(page: &str) -> Vec<String> {
    page.split('"').filter(|text| text.starts_with("/static/")).map(str::to_owned).collect()
}

fn whoami(port: u16) -> Value {
    serde_json::from_str(&get(port, "/whoami").1).unwrap()
}

/// Sends a form as a browser does that has seen it.
fn post(port: u16, path: &str, kind: &str, body: &str) -> u16 {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let url = format!("http://localhost:{port}{path}");
    let form = client.get(&url).send().unwrap();
    let cookie = form.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = cookie.split_once('=').unwrap().1.to_owned();
    let request = client.post(&url).header("Cookie", cookie).header("X-CSRFToken", token);
    request.header("Content-Type", kind).body(body.to_owned()).send().unwrap().status().as_u16()
}

fn titles(site: &Site) -> BTreeSet<String> {
    processes_of(site).into_iter().map(|process| process.title).collect()
}

#[test]
fn workers_of_both_uwsgis_get_the_environment_as_it_is_written() {
    // Among them the names of variables that a script may have of its own.
    let own = ["IFS", "build", "link", "value", "variable"];
    let env: String = own.iter().map(|name| format!("{name} = \"of {name}\"\n")).collect();
    let site = Site::up("plain", &format!("\n[env]\nODD = \"'$(id)' \\\"`x`\\\" \\\\ ü *\\n\\n\"\n{env}"));
    let app = "import os\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    \
               return [(os.environ['ODD'] + os.environ['BUILD_NAME'] + OWN).encode()]\n";
    let own = own.map(|name| format!("os.environ['{name}']")).join(" + ");
    let app = app.replace("OWN", &own);
    site.write("wsgi.py", &app);
    let said = "of IFSof buildof linkof valueof variable";
    for (build, requirements) in [("a", ""), ("b", "pyuwsgi\n")] {
        site.write("requirements.txt", requirements);
        site.ok(&["create", build]);
        site.ok(&["activate", build]);
        assert_eq!(get(site.port(build), "/"), (200, format!("'$(id)' \"`x`\" \\ ü *\n\n{build}{said}")));
    }
}

#[test]
fn process_titles_show_site_build_and_tag() {
    let site = Site::up("plain", "");
    site.ok(&["create", "a", "--tag", "v1.2-7-gabc"]);
    site.ok(&["activate", "a"]);
    let titles = titles(&site);
    for title in ["master", "http 1", "worker 1", "worker 2"] {
        assert!(titles.contains(&format!("it-a-v1.2-7-gabc uWSGI {title}")), "{titles:?}");
    }
    for emperor in ["it-vassals uWSGI Emperor", "it-zergs uWSGI Emperor"] {
        assert!(titles.contains(emperor), "{titles:?}");
    }
}

#[test]
fn sockets_and_secrets_are_closed_to_other_users() {
    let site = Site::up("plain", "\n[env]\nSECRET = \"x\"\n");
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let run = site.build("a").join("run");
    assert_eq!(mode(&run.join("web-1.sock")), 0o660, "nginx may be in the group");
    assert_eq!(mode(&run.join("env")), 0o700);
    assert_eq!(mode(&run.join("env/SECRET")), 0o600);
    for directory in [run, site.root().join("run")] {
        assert_eq!(mode(&directory) & 0o007, 0, "{}", directory.display());
        let entries: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap()).collect();
        let sockets = entries.iter().filter(|entry| entry.file_type().unwrap().is_socket());
        assert!(sockets.clone().count() >= 2);
        for socket in sockets {
            assert_eq!(mode(&socket.path()) & 0o002, 0, "{}", socket.path().display());
        }
    }
}

#[test]
fn everything_listens_on_loopback_only() {
    let site = Site::ready("plain", "");
    let pids: Vec<String> = processes_of(&site).iter().map(|process| format!("pid={},", process.pid)).collect();
    let all = String::from_utf8(Command::new("ss").arg("-ltnpH").output().unwrap().stdout).unwrap();
    let own = all.lines().filter(|line| pids.iter().any(|pid| line.contains(pid)));
    let addresses: BTreeSet<&str> = own.map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    let ports = [site.port("a"), site.port("b"), site.live_port(), site.stage_port()];
    let expected = ports.map(|port| format!("127.0.0.1:{port}"));
    assert_eq!(addresses, expected.iter().map(String::as_str).collect());
}

#[test]
fn as_many_requests_may_wait_as_the_configuration_says() {
    let site = Site::up("plain", "\n[uwsgi]\nlisten = 37\n");
    site.ok(&["create", "a"]);
    assert_eq!(backlog(&site.build("a").join("run/web.sock")), Some((0, 37)));
    site.configure("\n[uwsgi]\nlisten = 21\n");
    site.ok(&["stop", "a"]);
    site.ok(&["activate", "a"]);
    assert_eq!(backlog(&site.build("a").join("run/web.sock")), Some((0, 21)));
}
