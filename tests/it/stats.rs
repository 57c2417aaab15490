//! Stats sockets that do not behave: they cost little, and nothing is believed.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, park_timeout, spawn};
use std::time::Duration;

use serde_json::Value;

use crate::helpers::shell;
use crate::site::Site;

/// Somebody else at a stats socket, for as long as this lives.
struct Impostor {
    path: PathBuf,
    over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Says the one and then the other again and again.
    Endless(&'static str, &'static str),
    /// Says this, piece by piece, and stays: it never ends.
    Slow,
    /// Says this and leaves.
    Text(&'static str),
    /// As many workers as this.
    Workers(usize),
}

const WORKER: &str = r#"{"id":1,"pid":1,"status":"","accepting":1,"respawn_count":1,"requests":18446744073709551615,"exceptions":1,"apps":[1],"cores":[{"in_request":4294967295},{"in_request":4294967295}]},"#;

impl Impostor {
    fn at(path: &Path, answer: Answer) -> Self {
        fs::remove_file(path).unwrap();
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let stop = over.clone();
        let server = spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A reader that gives up in the middle is what is wanted.
                    Ok((stream, _)) => drop(say(stream, answer, &stop)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => park_timeout(Duration::from_millis(5)),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { path: path.to_owned(), over, server: Some(server) }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.server.take().unwrap().join());
        drop(fs::remove_file(&self.path));
    }
}

fn say(mut stream: UnixStream, answer: Answer, stop: &AtomicBool) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    match answer {
        Answer::Text(text) => stream.write_all(text.as_bytes()),
        Answer::Workers(many) => {
            stream.write_all(b"{\"workers\":[")?;
            stream.write_all(WORKER.repeat(many).trim_end_matches(',').as_bytes())?;
            stream.write_all(b"]}")
        }
        Answer::Endless(start, text) => {
            stream.write_all(start.as_bytes())?;
            let many = text.repeat((1 << 16) / text.len());
            loop {
                stream.write_all(many.as_bytes())?;
            }
        }
        Answer::Slow => {
            stream.write_all(b"{\"workers\":[")?;
            while !stop.load(Ordering::Relaxed) {
                stream.write_all(b" ")?;
                park_timeout(Duration::from_millis(50));
            }
            Ok(())
        }
    }
}

/// The most memory that `builds status` takes, in kB, and what it says of a build.
fn status(site: &Site, build: &str) -> (u64, String) {
    let code = "import resource, subprocess, sys\nprint(subprocess.check_output(sys.argv[1:], text=True), \
                resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut python = Command::new("python3");
    python.args(["-c", code]).args(&site.caller).arg("status").current_dir(&site.dir);
    let said = shell(&mut python);
    let row = said.lines().find(|line| line.starts_with(build)).unwrap();
    (said.rsplit(' ').next().unwrap().parse().unwrap(), row.to_owned())
}

#[test]
fn a_socket_that_does_not_behave_costs_little() {
    let site = Site::ready("plain", "");
    let honest = status(&site, "b").0;
    for (answer, state) in [
        (Answer::Endless("", " "), "active"),
        (Answer::Endless("", "["), "active"),
        (Answer::Endless(r#"{"workers":["#, WORKER), "active"),
        (Answer::Endless(r#"{"workers":[{"status":""#, "x"), "active"),
        (Answer::Slow, "active"),
        (Answer::Text(""), "active"),
        (Answer::Text("\0\u{ff}}{"), "active"),
        (Answer::Text(r#"{"workers":[{"id":1,"pid":1,"st"#), "active"),
        (Answer::Text(r#"{"workers":[]}"#), "active"),
        (Answer::Workers(100), "warm"),
    ] {
        let impostor = Impostor::at(&site.build("b").join("run/zerg.stats"), answer);
        let (memory, row) = status(&site, "b");
        eprintln!("{answer:?} {memory} {honest}");
        assert!(memory < honest + 16_000, "{answer:?}: {memory} kB, an honest one {honest} kB");
        assert!(row.contains(state), "{answer:?}: {row}");
        drop(impostor);
        // What the next one removes.
        fs::write(site.build("b").join("run/zerg.stats"), "").unwrap();
    }
}

#[test]
fn commands_do_not_wait_for_a_socket_that_never_ends() {
    let site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    let (stats, zergs) = (site.build("c").join("run/zerg.stats"), site.root().join("run/zergs.stats"));
    for answer in [Answer::Slow, Answer::Endless("", " "), Answer::Text("}{"), Answer::Text(r#"{"workers":[{"id":1,"#)]
    {
        site.configure("");
        site.ok(&["activate", "c"]);
        site.configure("\n[uwsgi]\nstart_timeout = 1\ndrain_timeout = 1\n");
        let impostor = Impostor::at(&stats, answer);
        let said = site.fails(1, &["deactivate", "c"]);
        assert!(said.contains("zerg.stats speaks no stats"), "{answer:?}: {said}");
        assert!(site.build("c").join("zerg.ini").is_symlink(), "its workers go on");
        let said = site.fails(5, &["activate", "c"]);
        assert!(said.contains("did not load the application within 1 s"), "{answer:?}: {said}");
        drop(impostor);
    }
    fs::rename(&zergs, zergs.with_extension("away")).unwrap();
    fs::write(&zergs, "").unwrap();
    let impostor = Impostor::at(&zergs, Answer::Slow);
    for args in [["activate", "c"], ["deactivate", "c"]] {
        let said = site.fails(1, &args);
        assert!(said.contains("the zergs' emperor does not answer") && said.contains("timed out"), "{said}");
    }
    drop(impostor);
    fs::rename(zergs.with_extension("away"), &zergs).unwrap();
    site.configure("");
    site.ok(&["activate", "c"]);
}

#[test]
fn builds_are_all_asked_before_the_first_is_heard() {
    let site = Site::ready("plain", "");
    let at = |build: &str| {
        let path = site.build(build).join("run/vassal.stats");
        fs::remove_file(&path).unwrap();
        UnixListener::bind(path).unwrap()
    };
    let (first, second) = (at("a"), at("b"));
    let server = spawn(move || {
        second.accept().unwrap().0.write_all(b"{}").unwrap();
        first.accept().unwrap().0.write_all(b"{}").unwrap();
        first
    });
    let states = |status: &Value| [0, 1].map(|row| status["builds"][row]["state"].clone());
    assert_eq!(states(&site.json(&["status"])), ["warm", "warm"]);

    let _silent = server.join().unwrap();
    let late = Impostor::at(&site.build("b").join("run/vassal.stats"), Answer::Text("{}"));
    assert_eq!(states(&site.json(&["status"])), ["down", "warm"], "b has answered while a was waited for");
    drop(late);
}
