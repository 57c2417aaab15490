//! A site of a test's own: directory, ports, sockets and processes, gone when the test ends.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The longest wait for anything. Nothing comes near it unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A site under test.
pub struct Site {
    pub dir: PathBuf,
    pub ports: Ports,
    /// How the tool is called: its path, behind a program that gives it another user or network where a test wants that.
    pub caller: Vec<String>,
    up: Option<Child>,
}

/// A hundred ports that no other test has: builds at the start, nginx at the end.
pub struct Ports {
    pub base: u16,
    _lock: Flock<File>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Site {
    /// A site that runs nothing yet: the fixture's files, and a `builds.toml` with ports of its own, `extra` at its end.
    pub fn new(fixture: &str, extra: &str) -> Self {
        let site = Self::of(&fixtures().join(fixture));
        site.configure(extra);
        site.link_stores(shared_stores(), &["wheelhouse", "npm", "tools"]);
        site
    }

    /// A copy of a source, without configuration and packages.
    pub fn of(source: &Path) -> Self {
        let ports = Ports::take();
        let dir = std::env::temp_dir().join(format!("builds-it-{}", ports.base));
        end_all_in(&dir);
        unmount_all_in(&dir);
        drop(fs::remove_dir_all(&dir));
        drop(fs::remove_file(dir.with_extension("log")));
        copy(source, &dir);
        Self { dir, ports, caller: vec![binary()], up: None }
    }

    /// Like [`Self::new`], with uWSGI and nginx running.
    pub fn up(fixture: &str, extra: &str) -> Self {
        let mut site = Self::new(fixture, extra);
        site.start();
        site
    }

    /// Like [`Self::up`], after `builds init`: a is live, b is stage.
    pub fn ready(fixture: &str, extra: &str) -> Self {
        let site = Self::up(fixture, extra);
        site.ok(&["init"]);
        site
    }

    /// Writes `builds.toml`. A section of `extra` replaces nothing: name other keys, or other sections.
    pub fn configure(&self, extra: &str) {
        let base = self.ports.base;
        let (own, sections) =
            extra.split_once("\n[").map_or((extra, String::new()), |(own, rest)| (own, format!("[{rest}")));
        let nginx = format!("live_listen = \"127.0.0.1:{}\"\nstage_listen = \"127.0.0.1:{}\"\n", base + 98, base + 99);
        let sections = match sections.contains("[nginx]\n") {
            true => sections.replace("[nginx]\n", &format!("[nginx]\n{nginx}")),
            false => format!("{sections}\n[nginx]\n{nginx}"),
        };
        self.write("builds.toml", &format!("[site]\nname = \"it\"\nbase_port = {base}\n{own}\n{sections}\n"));
    }

    /// Runs `builds up` and waits until both emperors answer, and nginx has its sockets, after which it writes its pid.
    pub fn start(&mut self) {
        let nginx = self.root().join("run/nginx.pid");
        let old = fs::read(&nginx).unwrap_or_default();
        self.launch();
        wait_for("builds up", || {
            let emperors = ["vassals", "zergs"].map(|name| self.root().join(format!("run/{name}.stats")));
            // `nginx -t` leaves an empty one; an nginx that listens has written into it.
            let listens = fs::read(&nginx).is_ok_and(|pid| !pid.is_empty() && pid != old);
            listens && emperors.iter().all(|socket| std::os::unix::net::UnixStream::connect(socket).is_ok())
        });
    }

    /// Runs `builds up` and waits for nothing.
    pub fn launch(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.up_file()).unwrap();
        let up = self.command(&["up"]).stdout(log.try_clone().unwrap()).stderr(log).process_group(0).spawn();
        self.up = Some(up.unwrap());
    }

    /// Ends `builds up` as Ctrl-C in a terminal does, by a signal to the foreground process group.
    pub fn stop(&mut self) {
        kill(Pid::from_raw(-self.up_pid()), Signal::SIGINT).unwrap();
        self.wait();
    }

    /// Waits until `builds up` has ended.
    pub fn wait(&mut self) {
        self.up.take().unwrap().wait().unwrap();
    }

    /// Ends every process of the site at once, as a power cut does.
    pub fn kill(&mut self) {
        end_all_in(&self.dir);
        if let Some(mut up) = self.up.take() {
            drop(up.wait());
        }
    }

    /// The process id of `builds up`.
    pub fn up_pid(&self) -> i32 {
        self.up.as_ref().unwrap().id() as i32
    }

    /// A command of the tool, ready to run in the site's directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.caller[0]);
        command.args(&self.caller[1..]).args(args).current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "builds {}\n{}\n{}", args.join(" "), said.err, self.up_log());
        said.out
    }

    /// Runs a command that must fail with this exit code, and returns its standard error.
    #[track_caller]
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, code, "builds {}\n{}\n{}", args.join(" "), said.out, said.err);
        assert_eq!(said.out, "", "a failing command says nothing on standard output");
        said.err
    }

    /// Runs a command with `--json` and returns its document.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// Runs a command that must succeed and find nothing to do. An error says that nothing was changed, too.
    #[track_caller]
    pub fn unchanged(&self, args: &[&str]) {
        let said = self.json(args);
        assert_eq!((&said["changed"], &said["error"]), (&false.into(), &Value::Null), "builds {args:?}");
    }

    /// A build's row of `builds status`.
    #[track_caller]
    pub fn status(&self, build: &str) -> Value {
        let status = self.json(&["status"]);
        let rows = status["builds"].as_array().unwrap();
        rows.iter().find(|row| row["build"] == build).unwrap_or_else(|| panic!("no build {build}: {status}")).clone()
    }

    /// What `_live` and `_stage` point to.
    pub fn names(&self) -> (String, String) {
        let target = |link: &str| fs::read_link(self.root().join("builds").join(link)).unwrap().display().to_string();
        (target("_live"), target("_stage"))
    }

    pub fn root(&self) -> PathBuf {
        self.dir.join("deploy")
    }

    pub fn build(&self, name: &str) -> PathBuf {
        self.root().join("builds").join(name)
    }

    /// The port of a build of one letter.
    pub fn port(&self, build: &str) -> u16 {
        self.ports.base + 10 * u16::from(build.as_bytes()[0] - b'a')
    }

    pub fn live_port(&self) -> u16 {
        self.ports.base + 98
    }

    pub fn stage_port(&self) -> u16 {
        self.ports.base + 99
    }

    /// Asks the live server of nginx.
    pub fn live(&self, path: &str) -> (u16, String) {
        get(self.live_port(), path)
    }

    /// Asks the staged server of nginx.
    pub fn staged(&self, path: &str) -> (u16, String) {
        get(self.stage_port(), path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.join(path)).unwrap()
    }

    /// What `builds up` said: beside the site, as a file in it would belong to the source, and change all the time.
    pub fn up_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// The end of what `builds up` said.
    pub fn up_log(&self) -> String {
        let log = fs::read_to_string(self.up_file()).unwrap_or_default();
        log.lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Lets a site install from packages that lie elsewhere.
    pub fn link_stores(&self, stores: &Path, names: &[&str]) {
        fs::create_dir_all(self.root().join("deps")).unwrap();
        for store in names {
            symlink(stores.join(store), self.root().join("deps").join(store)).unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} up.log\n{}", self.dir.display(), self.up_log());
        }
        self.kill();
        drop(fs::remove_dir_all(&self.dir));
        drop(fs::remove_file(self.up_file()));
    }
}

impl Ports {
    /// Several of them in a row, for builds beyond the ninth.
    pub fn row(count: usize) -> Vec<Self> {
        let mut row: Vec<Self> = Vec::new();
        // Those that are in the way stay taken until there is a row, and are free again then.
        let mut others = Vec::new();
        while row.len() < count {
            let next = Self::take();
            if row.last().is_some_and(|last| last.base + 100 != next.base) {
                others.append(&mut row);
            }
            row.push(next);
        }
        row
    }

    fn take() -> Self {
        let directory = std::env::temp_dir().join("builds-it-ports");
        fs::create_dir_all(&directory).unwrap();
        for range in 0..100 {
            let path = directory.join(range.to_string());
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
            if let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                return Self { base: 20_000 + 100 * range, _lock: lock };
            }
        }
        panic!("no ports left");
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A GET request on a connection of its own; status 0 where there is no answer.
pub fn get(port: u16, path: &str) -> (u16, String) {
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    match client.get(format!("http://localhost:{port}{path}")).send() {
        Ok(response) => (response.status().as_u16(), response.text().unwrap_or_default()),
        Err(error) => (0, error.to_string()),
    }
}

/// Waits until something is so.
#[track_caller]
pub fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    wait_within(PATIENCE, what, condition);
}

/// Waits until something is so, which may take longer than [`wait_for`] waits, or must not.
#[track_caller]
pub fn wait_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within {} s", patience.as_secs());
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Kills every process whose working directory is `dir` or below: what a site started, and what a killed command left.
/// A site could end as Ctrl-C ends it, but uWSGI takes some seconds for that, and every test would pay them.
fn end_all_in(dir: &Path) {
    let works_there = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    wait_for("the end of all processes", || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(works_there);
        let killed: Vec<_> = pids.map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL)).collect();
        killed.is_empty()
    });
}

/// Unmounts what a test that was killed has left mounted below `dir`.
fn unmount_all_in(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    for place in
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|place| Path::new(place).starts_with(dir))
    {
        drop(Command::new("umount").arg("--lazy").arg(place).output());
    }
}

/// The tool that is tested: the one of `BUILDS`, a full path, where that is set.
pub fn binary() -> String {
    std::env::var("BUILDS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_builds").into())
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp {}", from.display());
}

/// All tests install from one wheelhouse and one npm store, fetched once by `builds wheels` itself.
fn shared_stores() -> &'static Path {
    static STORES: OnceLock<PathBuf> = OnceLock::new();
    STORES.get_or_init(fetch_stores)
}

/// Where the stores of all tests are, filled by the first test process that comes.
fn fetch_stores() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stores");
    fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join("lock")).unwrap();
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    let deps = home.join("site/deploy/deps");
    // What single tests need besides: the other uWSGI, a build system for editable installs, PostgreSQL.
    let more = "Django>=5.2,<5.3\npyuwsgi\nsetuptools\nwheel\npsycopg\n";
    if fs::read_to_string(home.join("done")).unwrap_or_default() != more {
        drop(fs::remove_dir_all(home.join("site")));
        copy(&fixtures().join("demo"), &home.join("site"));
        fs::write(home.join("site/requirements.txt"), more).unwrap();
        fs::write(home.join("site/builds.toml"), "").unwrap();
        let wheels = Command::new(binary()).arg("wheels").current_dir(home.join("site")).output().unwrap();
        assert!(wheels.status.success(), "{}", String::from_utf8_lossy(&wheels.stderr));
        fs::write(home.join("done"), more).unwrap();
    }
    deps
}
