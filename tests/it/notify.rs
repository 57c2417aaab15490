//! The webhook is told of changes, signed, and nobody waits for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

use crate::site::{Site, wait_for};

/// A request to the webhook: its headers in lower case, and its body.
struct Told {
    stream: TcpStream,
    headers: String,
    body: Vec<u8>,
}

impl Told {
    fn next(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let mut accepted = None;
        wait_for("a request to the webhook", || {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        let (stream, _) = accepted.unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut headers).unwrap(), 0, "{headers}");
        }
        let headers = headers.to_lowercase();
        let header = |name: &str| headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        Self { stream, headers, body }
    }

    fn header(&self, name: &str) -> String {
        let value = self.headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        value.unwrap_or_else(|| panic!("no {name}: {}", self.headers)).to_owned()
    }

    fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn answer(mut self, status: &str) {
        write!(self.stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    }
}

/// A site that tells a webhook, which listens.
fn told(secret: &str) -> (Site, TcpListener) {
    let site = Site::ready("plain", "");
    let listener = listen(&site, secret);
    (site, listener)
}

/// Another webhook of a site, from now on.
fn listen(site: &Site, secret: &str) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    site.configure(&format!("\n[notify]\nwebhook = \"{url}\"\n{secret}"));
    listener
}

fn waiting(site: &Site) -> usize {
    let entries = std::fs::read_dir(site.root().join("run/outbox")).unwrap();
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".json")).count()
}

#[test]
fn the_webhook_is_told_in_order_and_again_until_it_answers_well() {
    let (site, listener) = told("secret = \"shh\"\n");
    // Nobody has answered, and the commands have ended.
    site.ok(&["swap-live", "b"]);
    site.ok(&["rollback"]);
    assert_eq!(waiting(&site), 2);
    assert!(site.ok(&["doctor"]).contains("2 events wait for the webhook of [notify]"));

    let first = Told::next(&listener);
    let (event, delivery) = (first.event(), first.header("x-builds-delivery"));
    assert_eq!(
        (&event["event"], &event["build"], &event["to"]["live"]),
        (&"after_swap".into(), &"b".into(), &"b".into())
    );
    first.answer("503 Later");
    let again = Told::next(&listener);
    assert_eq!((again.header("x-builds-delivery"), again.event()), (delivery, event));
    site.write("body", std::str::from_utf8(&again.body).unwrap());
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-hmac", "shh", "-r"]).arg(site.root().join("../body"));
    let digest = crate::helpers::shell(&mut openssl);
    assert_eq!(again.header("x-builds-signature"), format!("sha256={}", digest.split_whitespace().next().unwrap()));
    again.answer("204 Thanks");
    let last = Told::next(&listener);
    assert_eq!((last.header("x-builds-event"), &last.event()["to"]["live"]), ("after_rollback".into(), &"a".into()));
    // It will never want this.
    last.answer("400 No");
    wait_for("an empty outbox", || waiting(&site) == 0);
    assert!(!site.ok(&["doctor"]).contains("webhook"));
    let log = site.read("deploy/logs/notify.log");
    assert!(log.contains(".json: HTTP Error 503: Later\n"), "{log}");
    assert!(log.contains(".json: given up: HTTP Error 400: No\n"), "{log}");
}

#[test]
fn what_is_no_answer_and_what_is_no_event_hold_nothing_up() {
    let (site, listener) = told("");
    site.write("deploy/run/outbox/0.json", "[]");
    site.ok(&["swap-live"]);
    let first = Told::next(&listener);
    assert!(!first.headers.contains("x-builds-signature"), "{}", first.headers);
    // To follow it would be to ask for a page, and to take that for an answer.
    first.answer("302 Found\r\nLocation: /elsewhere");
    let again = Told::next(&listener);
    assert!(again.headers.starts_with("post /hook "), "{}", again.headers);
    assert_eq!(again.header("x-builds-event"), "after_swap");
    again.answer("200 OK");
    wait_for("an empty outbox", || waiting(&site) == 0);
    let log = site.read("deploy/logs/notify.log");
    assert!(log.contains(" 0.json: given up: it is no event\n") && log.contains("Error 302"), "{log}");
}

#[test]
fn a_webhook_that_has_moved_gets_what_the_old_one_refused() {
    let (site, old) = told("");
    site.ok(&["swap-live"]);
    let refused = Told::next(&old);
    let new = listen(&site, "");
    site.ok(&["rollback"]);
    refused.answer("500 No");
    for event in ["after_swap", "after_rollback"] {
        let told = Told::next(&new);
        assert_eq!(told.header("x-builds-event"), event);
        told.answer("200 OK");
    }
    wait_for("an empty outbox", || waiting(&site) == 0);
}
