//! What nginx notes of each request.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::blocking::Client;
use serde_json::Value;

use crate::site::{Site, get, wait_for};

/// The noted requests, once there are so many.
fn noted(site: &Site, count: usize) -> Vec<Value> {
    let log = site.root().join("logs/requests.json");
    let read = || -> Vec<Value> {
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    // nginx writes a line when the client has its answer already.
    wait_for("the lines of all requests", || read().len() >= count);
    let lines = read();
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

/// A request as it is written here.
fn raw(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn each_request_is_noted_with_the_build_that_answered_it() {
    for mode in ["socket", "port"] {
        let site = Site::ready("plain", &format!("\n[nginx]\nupstream = \"{mode}\"\n"));
        fs::write(site.root().join("assets/static/x.txt"), "x").unwrap();
        assert_eq!(site.live("/static/x.txt").0, 200);
        site.live("/one?two=\"3\"");
        site.staged("/");
        site.ok(&["swap-live"]);
        let client = Client::builder().no_proxy().build().unwrap();
        let answer = client.post(format!("http://localhost:{}/x", site.live_port())).body("four").send().unwrap();
        assert_eq!(answer.headers().get("x-builds-name"), None, "it is no business of clients");
        answer.text().unwrap();
        let lines = noted(&site, 3);
        let told: Vec<_> = lines.iter().map(|line| [&line["role"], &line["build"], &line["method"]]).collect();
        assert_eq!(told, [["live", "a", "GET"], ["stage", "b", "GET"], ["live", "b", "POST"]], "{mode}");
        assert_eq!(lines[0]["uri"], "/one?two=%223%22");
        for line in &lines {
            assert_eq!((&line["status"], &line["client"]), (&200.into(), &"127.0.0.1".into()));
            assert!(line["at"].as_f64().unwrap() > 1.7e9 && line["seconds"].is_f64(), "{line}");
            assert!(line["upstream"].as_str().unwrap().parse::<f64>().is_ok(), "{line}");
            assert!(line["bytes"].as_u64().unwrap() > 10, "{line}");
        }
    }
}

#[test]
fn what_nginx_answers_itself_is_noted_without_a_build() {
    let site = Site::ready("plain", "");
    let answer = raw(site.live_port(), b"GET /\xff\"\\ HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(raw(site.live_port(), b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    fs::remove_file(site.build("a").join("run/web.sock")).unwrap();
    assert_eq!(site.live("/gone").0, 503);
    let log = site.root().join("logs/requests.json");
    wait_for("three lines", || fs::read(&log).unwrap().split(|&byte| byte == b'\n').count() > 3);
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["uri"], "/\u{fffd}\"\\");
    let last = lines.last().unwrap();
    assert_eq!((&last["status"], &last["build"], &last["uri"]), (&503.into(), &"".into(), &"/gone".into()));
}

#[test]
fn a_log_that_cannot_be_read_hides_nothing_else() {
    let site = Site::ready("plain", "");
    let log = site.root().join("logs/requests.json");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let said = site.run(&["status"]);
    assert!(said.code == 0 && said.out.contains("a      live "), "{said:?}");
    assert!(said.err.contains("cannot read") && said.err.contains("requests.json"), "{said:?}");
}

#[test]
fn a_worker_says_its_build_to_whoever_asks_it_directly() {
    let site = Site::ready("plain", "");
    let answer = raw(site.port("b"), b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(answer.contains("X-Builds-Name: b\r\n"), "{answer}");
    assert_eq!(get(site.port("b"), "/").0, 200);
}
