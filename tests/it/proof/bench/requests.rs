//! How many requests a build answers.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::original::place;
use super::row::{Required, Row, Unit};
use super::{Bench, by_turns};
use crate::helpers::shell;
use crate::site::{Site, fixtures, get, wait_for};

const ROUTER: Row = Row {
    what: "requests through nginx to a build in socket mode, 16 keep-alive clients",
    rival: "the original's way: nginx, the vassal's http router, workers",
    unit: Unit::RequestsPerSecond,
    required: Required::AtLeastTimes(1.7),
};

pub const REQUESTS: [Row; 2] = [
    ROUTER,
    Row {
        rival: "uWSGI asked directly: http-socket, which closes each connection",
        required: Required::AtLeastTimes(0.9),
        ..ROUTER
    },
];

/// The rival's processes, which end with the site.
struct Rivals(Vec<Child>);

pub fn requests(bench: &mut Bench) {
    let [router, direct] = REQUESTS;
    let site = Site::ready("plain", "\n[uwsgi]\nworkers = 2\n");
    let [http, nginx, alone] = [91, 92, 93].map(|offset| site.ports.base + offset);
    let rivals = start(&site, [http, nginx, alone]);
    let [routed, asked, ours] = by_turns([
        (&[router], Box::new(|_| rate(nginx))),
        (&[direct], Box::new(|_| rate(alone))),
        (&REQUESTS, Box::new(|_| rate(site.live_port()))),
    ]);
    drop(rivals);
    bench.measured(&router, &ours, &routed);
    bench.measured(&direct, &ours, &asked);
}

fn start(site: &Site, [http, nginx, direct]: [u16; 3]) -> Rivals {
    let dir = place(site, "served");
    for part in ["", "body", "proxy", "uwsgi", "fastcgi", "scgi"] {
        fs::create_dir_all(dir.join(part)).unwrap();
    }
    for file in ["vassal.ini", "zerg.ini", "direct.ini", "nginx.conf"] {
        let text = fs::read_to_string(fixtures().join("bench/original").join(file)).unwrap();
        let text = text.replace("{{http}}", &http.to_string()).replace("{{nginx}}", &nginx.to_string());
        let text = text.replace("{{direct}}", &direct.to_string()).replace("{{site}}", &site.dir.display().to_string());
        let text = text.replace("{{dir}}", &dir.display().to_string());
        fs::write(dir.join(file), text).unwrap();
    }
    let uwsgi = |ini: &str| {
        let mut command = Command::new("uwsgi");
        command.args(["--plugin", "http,python3,logfile", "--ini"]).arg(dir.join(ini));
        spawn(&mut command, &dir)
    };
    let mut rivals = Rivals(vec![uwsgi("vassal.ini"), uwsgi("direct.ini")]);
    wait_for("the original's vassal", || dir.join("zerg.sock").exists());
    rivals.0.push(uwsgi("zerg.ini"));
    rivals.0.push(spawn(Command::new("nginx").args(["-e", "stderr", "-c"]).arg(dir.join("nginx.conf")), &dir));
    for port in [nginx, direct] {
        wait_for("the rival's answer", || get(port, "/").0 == 200);
    }
    rivals
}

fn spawn(command: &mut Command, dir: &Path) -> Child {
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Rivals {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let pid = Pid::from_raw(child.id() as i32);
            kill(pid, Signal::SIGTERM).ok();
            drop(child.wait());
        }
    }
}

/// How many requests a second are answered, all of them well.
fn rate(port: u16) -> f64 {
    let url = format!("http://127.0.0.1:{port}/");
    let said = shell(Command::new("wrk").args(["-t", "1", "-c", "16", "-d", "4s", "-H", "Host: localhost", &url]));
    assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{said}");
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.unwrap().trim().parse().unwrap()
}
