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
        let (stream, _) = listener.accept().unwrap();
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

fn waiting(site: &Site) -> usize {
    let entries = std::fs::read_dir(site.root().join("run/outbox")).unwrap();
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".json")).count()
}

#[test]
fn the_webhook_is_told_in_order_and_again_until_it_answers_well() {
    let site = Site::ready("plain", "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    site.configure(&format!("\n[notify]\nwebhook = \"{url}\"\nsecret = \"shh\"\n"));
    // Nobody has answered, and the commands have ended.
    site.ok(&["swap-live", "b"]);
    site.ok(&["rollback"]);
    assert_eq!(waiting(&site), 2);

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
}
