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
