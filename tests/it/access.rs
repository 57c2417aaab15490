//! Who may reach what of a site, whatever umask its commands ran under.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use crate::helpers::{repository, shell};
use crate::site::Site;
use crate::user::{STRANGER, as_user};

/// Tries everything with each path of its standard input: opens files and fifos, connects to sockets.
const TRY: &str = r#"
import os, socket, stat, sys
for line in sys.stdin:
    path = line.rstrip("\n")
    try:
        kind = os.lstat(path).st_mode
    except PermissionError:
        continue
    if stat.S_ISLNK(kind):
        continue
    for what, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY)):
        try:
            if stat.S_ISSOCK(kind):
                socket.socket(socket.AF_UNIX).connect(path)
            elif not stat.S_ISDIR(kind):
                os.close(os.open(path, flags | os.O_NONBLOCK))
            elif not os.access(path, os.R_OK if what == "read" else os.W_OK):
                continue
        except OSError as error:
            # Without a reader a fifo that may be written to refuses all the same.
            if isinstance(error, PermissionError):
                continue
        print(what, path)
"#;

/// What a stranger may do with everything of a site, but read its code, packages, assets and configuration.
fn open_to_strangers(site: &Site) -> Vec<String> {
    let caller = as_user(STRANGER, Path::new("/nowhere"));
    let mut python = Command::new(&caller[0]);
    python.args(&caller[1..]).args(["python3", "-c", TRY]).current_dir("/");
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let all = walkdir::WalkDir::new(&site.dir).into_iter().map(|entry| entry.unwrap().into_path());
    let deps = site.root().join("deps");
    let paths: Vec<String> =
        all.filter(|path| !path.starts_with(&deps)).map(|path| format!("{}\n", path.display())).collect();
    python.stdin.take().unwrap().write_all(paths.concat().as_bytes()).unwrap();
    let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains(&format!("read {}\n", site.root().join("conf/site.conf").display())), "it tries: {said}");
    let public = |path: &str| {
        let secret = ["/run", "/logs", "/builds.toml", ".log"];
        !secret.iter().any(|part| path.contains(part))
    };
    let harmless = |line: &&str| line.strip_prefix("read ").is_some_and(public);
    said.lines().filter(|line| !harmless(line)).map(str::to_owned).collect()
}

/// Lets the site's commands run under a umask.
fn under(umask: &str, site: &mut Site) {
    let before = ["sh", "-c", &format!("umask {umask}; exec \"$0\" \"$@\"")].map(str::to_owned);
    site.caller.splice(0..0, before);
}

#[test]
fn a_stranger_reads_no_requests_and_no_environment_and_writes_nothing() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    for umask in ["000", "022"] {
        let extra = "\n[env]\nSECRET = \"x\"\n[assets]\ncommands = [[\"sh\", \"-c\", \"mkdir $STATIC_ROOT/css\"]]\n";
        let mut site = Site::new("plain", extra);
        fs::set_permissions(&site.dir, fs::Permissions::from_mode(0o755)).unwrap();
        let toml = site.dir.join("builds.toml");
        fs::set_permissions(&toml, fs::Permissions::from_mode(0o640)).unwrap();
        under(umask, &mut site);
        site.start();
        site.ok(&["init"]);
        site.ok(&["create", "c"]);
        site.ok(&["stage", "c"]);
        site.ok(&["swap-live"]);
        assert_eq!(site.live("/?token=secret").0, 200);
        assert_eq!(open_to_strangers(&site), Vec::<String>::new(), "umask {umask}");
        assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
        fs::set_permissions(&toml, fs::Permissions::from_mode(0o644)).unwrap();
        let said = site.ok(&["doctor"]);
        assert!(said.contains(&format!("chmod o-r {}", toml.display())), "{said}");
    }
}

#[test]
fn the_group_reaches_what_nginx_serves() {
    let extra =
        "\n[assets]\ncommands = [[\"sh\", \"-c\", \"mkdir $STATIC_ROOT/css && date > $STATIC_ROOT/css/x.css\"]]\n";
    let mut site = Site::new("plain", extra);
    under("077", &mut site);
    site.start();
    site.ok(&["init"]);
    let root = site.root();
    let shown =
        ["conf/pages/welcome.html", "assets/static/a/css/x.css", "builds/a/run/web.sock", "assets/media", "conf"];
    for path in shown.iter().flat_map(|path| root.join(path).ancestors().map(Path::to_owned).collect::<Vec<_>>()) {
        if path.starts_with(&root) {
            let data = fs::metadata(&path).unwrap();
            let wanted = match data.file_type() {
                kind if kind.is_dir() => 0o050,
                kind if kind.is_socket() => 0o060,
                _ => 0o040,
            };
            let mode = data.permissions().mode();
            assert_eq!(mode & wanted, wanted, "{} {mode:o}", path.display());
        }
    }
}

#[test]
fn a_first_builds_toml_is_the_owners_alone() {
    let site = Site::new("plain", "");
    let toml = site.dir.join("builds.toml");
    fs::remove_file(&toml).unwrap();
    site.ok(&["init"]);
    assert_eq!(shell(Command::new("stat").args(["-c", "%a"]).arg(toml)), "600");
}

#[test]
fn a_build_of_a_commit_has_no_builds_toml_either() {
    let site = Site::up("plain", "");
    repository(&site.dir);
    site.ok(&["create", "a", "--ref", "HEAD"]);
    assert!(site.build("a").join("wsgi.py").exists());
    assert!(!site.build("a").join("builds.toml").exists());
}
