//! What visitors get through nginx where the application does less than the whole work.

use reqwest::blocking::{Client, Response};

use crate::site::Site;

const IGNORES_BODIES: &str = "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '4')])
    return [b'seen']
";

#[track_caller]
fn post(port: u16, body: Vec<u8>) -> Response {
    Client::builder().no_proxy().build().unwrap().post(format!("http://localhost:{port}/")).body(body).send().unwrap()
}

#[test]
fn an_answer_to_a_body_that_nobody_reads_arrives() {
    for mode in ["", "\n[nginx]\nupstream = \"port\"\n"] {
        let site = Site::up("plain", mode);
        site.write("wsgi.py", IGNORES_BODIES);
        site.ok(&["init"]);
        for size in [100_000, 1_000_000, 20_000_000] {
            let response = post(site.live_port(), vec![b'x'; size]);
            assert_eq!(response.status(), 200, "{size} bytes, {mode}");
            assert_eq!(response.text().unwrap(), "seen");
        }
    }
}

#[test]
fn forms_get_the_page_for_a_site_that_cannot_answer_too() {
    let site = Site::ready("plain", "");
    std::fs::remove_file(site.build("a").join("run/web.sock")).unwrap();
    let response = post(site.live_port(), b"name=value".to_vec());
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    assert!(response.text().unwrap().contains("Back in a moment"));
    // The page has an address of its own, which is nobody else's.
    assert_eq!(site.staged("/-/unavailable").0, 404);
}
