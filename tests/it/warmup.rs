//! `warmup` asks a build until every worker has answered as it must.

use crate::look::workers;
use crate::site::{Site, get};

/// A site without names, whose build a runs.
fn running(fixture: &str, extra: &str) -> Site {
    let site = Site::up(fixture, extra);
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    site
}

#[test]
fn a_build_is_warm_when_every_worker_has_answered() {
    let site = running("plain", "\n[uwsgi]\nworkers = 3\n[warmup]\npaths = [\"/\", \"/two?x=y\"]\n");
    assert_eq!(site.status("a")["state"], "ready");
    let said = site.run(&["warmup", "a"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(site.status("a")["state"], "warm");
    for worker in workers(&site, "a") {
        assert!(worker["requests"].as_u64().unwrap() >= 1, "{worker}");
    }

    let requests = said.err.lines().count();
    for line in said.err.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [status, milliseconds, "ms", path] = words[..] else { panic!("{line}") };
        assert_eq!(status, "200");
        assert!(milliseconds.parse::<u64>().is_ok() && ["/", "/two?x=y"].contains(&path), "{line}");
    }
    assert!(said.err.contains("/two?x=y"), "each path is asked for");
    assert!(said.out.starts_with(&format!("build a is warm: {requests} requests in ")), "{}", said.out);
    assert!(said.out.contains("every one of 3 workers answered"), "{}", said.out);
    assert_eq!(said.out.lines().count(), 1);
}

#[test]
fn the_result_is_there_for_programs_too() {
    let site = running("plain", "");
    let said = site.json(&["warmup", "a"]);
    let numbers = ["requests", "workers", "p50_ms", "max_ms", "seconds"].map(|key| said[key].as_f64().unwrap());
    assert!(numbers[0] >= 2.0 && numbers[1] == 2.0 && numbers[2] <= numbers[3] && numbers[4] > 0.0, "{said}");
    let others = ["command", "changed", "build"].map(|key| said[key].clone());
    assert_eq!(others, [serde_json::json!("warmup"), true.into(), "a".into()]);
    let quiet = site.run(&["warmup", "a", "-q"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
}

/// Answers with the most requests that it has worked on at a time since it was asked that.
const COUNTS: &str = r#"
import threading, time
lock, now, most = threading.Lock(), 0, 0

def application(environ, start_response):
    global now, most
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/most":
        answer, most = most, 0
        return [str(answer).encode()]
    with lock:
        now += 1
        most = max(most, now)
    time.sleep(0.5)
    with lock:
        now -= 1
    return [b"ok"]
"#;

#[test]
fn as_many_requests_as_asked_for_are_under_way_at_a_time() {
    let site = Site::up("plain", "\n[uwsgi]\nworkers = 1\nthreads = 6\n[warmup]\nconcurrency = 4\n");
    site.write("wsgi.py", COUNTS);
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    for (arguments, most) in [(&[][..], "4"), (&["-c", "1"], "1"), (&["-c", "3"], "3")] {
        site.ok(&[&["warmup", "a"], arguments].concat());
        assert_eq!(get(site.port("a"), "/most"), (200, most.into()));
    }
    for wrong in ["0", "1025", "many"] {
        assert_eq!(site.run(&["warmup", "a", "-c", wrong]).code, 2);
    }
}

#[test]
fn a_wrong_answer_makes_a_build_unhealthy_unless_it_is_expected() {
    let site = running("broken/answers-500", "\n[warmup]\npaths = [\"/shop\"]\n");
    let error = site.fails(5, &["warmup", "a"]);
    assert!(error.contains("build a is unhealthy") && error.contains("/shop answered 500"), "{error}");
    assert!(error.contains("expected 200, 301, 302") && error.contains("logs/a.error.log"), "{error}");
    assert_eq!(site.json(&["warmup", "a"])["error"]["code"], 5);

    site.configure("\n[warmup]\nexpect = [404, 500]\n");
    assert!(site.ok(&["warmup", "a"]).contains("is warm"));
}

#[test]
fn a_worker_that_dies_makes_a_build_unhealthy() {
    let site = running("broken/worker-dies", "");
    let error = site.fails(5, &["warmup", "a"]);
    assert!(error.contains("build a is unhealthy"), "{error}");
}

#[test]
fn an_answer_that_does_not_come_in_time_makes_a_build_unhealthy() {
    let site = running("plain", "\n[warmup]\ntimeout = 1\npaths = [\"/slow?seconds=20\"]\n");
    let error = site.fails(5, &["warmup", "a"]);
    assert!(error.contains("build a is unhealthy"), "{error}");
    assert_eq!(site.status("a")["state"], "ready", "it is not warm");
}

#[test]
fn only_a_build_with_workers_is_warmed() {
    let site = running("plain", "");
    site.ok(&["deactivate", "a"]);
    let error = site.fails(3, &["warmup", "a"]);
    assert!(error.contains("build a is not active") && error.contains("next: builds activate a"), "{error}");
    site.fails(2, &["warmup", "b"]);
    let error = site.fails(3, &["warmup"]);
    assert!(error.contains("no build is stage"), "{error}");
}

/// Is slow where a worker answers a page for the first time, and "/slow" each time.
const AGES: &str = r#"
import time
seen = set()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.2)
    elif path not in seen:
        time.sleep(1)
    seen.add(path)
    start_response("404 Not Found" if path == "/none" else "200 OK", [("Content-Type", "text/html")])
    return [b"<h1>\n\tEmpty basket</h1>"]
"#;

#[test]
fn a_page_must_be_answered_as_it_says() {
    let pages = |pages: &str| format!("\n[warmup]\npaths = [{pages}]\n");
    let site = Site::up("plain", &pages(r#""/", { path = "/none", expect = 404, contains = "basket</h1>" }"#));
    site.write("wsgi.py", AGES);
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let said = site.run(&["warmup", "a"]);
    assert!(said.code == 0 && said.err.contains("404 ") && said.err.contains("  /none"), "{said:?}");
    assert_eq!(site.json(&["warmup", "a"])["p95_ms"], serde_json::Value::Null);
    for (page, expected) in [
        (
            r#"{ path = "/cart", contains = "Total" }"#,
            "/cart answered 200 without \"Total\", which it must contain; it begins with: <h1> Empty basket</h1>",
        ),
        (r#"{ path = "/none", expect = [200, 204] }"#, "/none answered 404, expected 200, 204"),
    ] {
        site.configure(&pages(page));
        let error = site.fails(5, &["warmup", "a"]);
        assert!(error.contains("build a is unhealthy: wrong answer to a warm-up request"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_warm_build_is_timed_where_that_matters_and_first_requests_do_not_count() {
    let most = |most: u32, paths: &str| format!("\n[warmup]\npaths = {paths}\nmax_p95_ms = {most}\n");
    let site = Site::up("plain", &most(900, r#"["/", "/cart", "/help"]"#));
    site.write("wsgi.py", AGES);
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let said = site.json(&["warmup", "a"]);
    assert!(said["p95_ms"].as_u64() < said["max_ms"].as_u64(), "{said}");
    assert!(said["requests"].as_u64().unwrap() >= 3 + 6 + 42, "{said}");
    assert!(site.ok(&["warmup", "a"]).contains("; then 95 of 100 took up to "));

    site.configure(&most(100, r#"["/", "/slow"]"#));
    let error = site.fails(5, &["warmup", "a"]);
    assert!(error.contains("build a is unhealthy: 95 of 100 answers took up to "), "{error}");
    assert!(error.contains("why: warmup.max_p95_ms is 100; page by page: /slow "), "{error}");
    site.configure(&most(100, r#"["/slow"]"#).replace("max_", "timeout = 2\nmax_"));
    let error = site.fails(5, &["warmup", "a"]);
    assert!(error.contains("it took longer than 2 s") && error.contains(" of the 42 requests"), "{error}");
}
