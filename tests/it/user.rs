//! A deploy user without root. Where the tests run as one, all of them show this; here root steps down.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

use crate::helpers::shell;
use crate::site::Site;

const USER: u32 = 65_534;
pub const STRANGER: u32 = 65_533;

/// What turns a command line into one of a user with no other rights.
pub fn as_user(user: u32, home: &Path) -> Vec<String> {
    let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
    let home = format!("HOME={}", home.display());
    ["setpriv", &uid, &gid, "--clear-groups", "--inh-caps=-all", "env", &home].map(str::to_owned).to_vec()
}

/// A site that belongs to a user, tool and stores included: what root has elsewhere is none of the user's business.
fn site_of(user: u32) -> Site {
    let mut site = Site::new("plain", "\n[python]\ninstaller = \"pip\"\n");
    let tool = site.root().join("tool");
    fs::copy(env!("CARGO_BIN_EXE_builds"), &tool).unwrap();
    let wheelhouse = fs::read_link(site.root().join("deps/wheelhouse")).unwrap();
    fs::remove_dir_all(site.root().join("deps")).unwrap();
    for wheel in fs::read_dir(wheelhouse).unwrap().flatten() {
        if wheel.file_name().to_str().unwrap().starts_with("asgiref") {
            fs::copy(wheel.path(), site.dir.join(wheel.file_name())).unwrap();
        }
    }
    shell(Command::new("chown").arg("-R").arg(format!("{user}:{user}")).arg(&site.dir));
    site.caller = [as_user(user, &site.dir), vec![tool.display().to_string()]].concat();
    site
}

#[test]
fn what_root_does_in_a_users_site_the_user_can_go_on_with() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let mut site = site_of(USER);
    site.start();
    site.ok(&["init"]);
    site.ok(&["create", "c"]);
    // Before the user has locked, marked or moved anything.
    for file in fs::read_dir(site.root().join("run")).unwrap().flatten() {
        if file.path().extension().is_some_and(|end| end == "lock") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let tool = site.caller.pop().unwrap();
    let user = std::mem::replace(&mut site.caller, vec![tool.clone()]);
    let changes = [
        &["stage", "c"][..],
        &["swap-live"],
        &["rollback"],
        &["freeze", "black friday"],
        &["thaw"],
        &["mark", "b", "--bad", "slow"],
        &["restart", "live"],
        &["stop", "b"],
        &["archive", "b"],
        &["prune", "--keep", "0"],
        &["maintenance", "on"],
        &["pause"],
    ];
    for args in changes {
        site.ok(args);
    }
    let error = site.fails(3, &["create", "d"]);
    assert!(error.contains("the site's builds run as nobody, and this is root"), "{error}");
    assert!(error.contains("next: sudo -u nobody builds create d\n"), "{error}");
    site.fails(3, &["deploy"]);
    site.fails(3, &["wheels"]);
    assert!(!site.build("d").exists());
    for entry in walkdir::WalkDir::new(site.root()) {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), USER, "{}", entry.path().display());
    }
    let lock = site.root().join("run/names.lock");
    std::os::unix::fs::chown(&lock, Some(0), Some(0)).unwrap();
    let error = site.fails(1, &["doctor"]);
    assert!(error.contains(&format!("{} and 0 more belong to root", lock.display())), "{error}");

    site.caller = [user, vec![tool]].concat();
    site.ok(&["resume"]);
    let error = site.fails(1, &["swap-live"]);
    assert!(error.contains("cannot open the lock") && error.contains("builds doctor tells"), "{error}");
    let error = site.fails(1, &["doctor"]);
    let command = error.lines().find_map(|line| line.split_once("next ")?.1.strip_suffix(", as root")).unwrap();
    shell(Command::new("sh").args(["-c", command]));
    site.ok(&["diff", "a", "b"]);
    for args in [&["doctor"][..], &["maintenance", "off"], &["swap-live"], &["activate", "b"], &["rm", "b"]] {
        site.ok(args);
    }
}

fn sockets(site: &Site) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(site.root()).into_iter().map(|entry| entry.unwrap());
    files.filter(|entry| entry.file_type().is_socket()).map(|entry| entry.into_path()).collect()
}

/// Which of some sockets a user can connect to.
fn open_to(user: u32, site: &Site, sockets: &[PathBuf]) -> Vec<String> {
    let code = "import socket, sys\nfor path in sys.argv[1:]:\n    try:\n        \
                socket.socket(socket.AF_UNIX).connect(path); print(path)\n    except PermissionError: pass";
    let caller = as_user(user, &site.dir);
    let mut python = Command::new(&caller[0]);
    let said = shell(python.args(&caller[1..]).args(["python3", "-c", code]).args(sockets).current_dir("/"));
    said.lines().map(str::to_owned).collect()
}

#[test]
fn a_user_without_root_can_do_everything() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let mut site = site_of(USER);
    site.start();
    site.ok(&["init"]);
    assert_eq!(site.names(), ("a".into(), "b".into()));

    let store = site.root().join("deps/wheelhouse");
    shell(Command::new("sh").args(["-c", "mv asgiref-*.whl \"$0\""]).arg(store).current_dir(&site.dir));
    site.write("requirements.txt", "asgiref\n");
    site.ok(&["create", "c", "--tag", "v2"]);
    site.ok(&["run", "c", "--", "python", "-c", "import asgiref"]);
    site.ok(&["activate", "c"]);
    site.ok(&["warmup", "c"]);
    site.ok(&["stage", "c"]);
    assert!(site.staged("/").1.contains(r#""tag": "v2""#));
    site.ok(&["swap-live"]);
    assert!(site.live("/").1.contains(r#""build": "c""#), "{:?}", site.live("/"));
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
    assert!(site.ok(&["status"]).contains("warm"));

    let sockets = sockets(&site);
    assert!(sockets.len() >= 3 * 3 + 2, "three builds' and the emperors': {sockets:?}");
    assert_eq!(open_to(USER, &site, &sockets).len(), sockets.len());
    assert_eq!(open_to(STRANGER, &site, &sockets), Vec::<String>::new());

    site.ok(&["deactivate", "b"]);
    site.ok(&["archive", "b"]);
    site.ok(&["rm", "b"]);
    assert_eq!(site.names(), ("c".into(), "a".into()));
    for entry in walkdir::WalkDir::new(site.root()) {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), USER, "{}", entry.path().display());
    }
    assert_eq!(fs::metadata(format!("/proc/{}", site.up_pid())).unwrap().uid(), USER);
}

#[test]
fn a_site_of_root_is_closed_to_others_too() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let site = Site::ready("plain", "");
    let sockets = sockets(&site);
    assert!(sockets.len() >= 2 * 3 + 2, "{sockets:?}");
    assert_eq!(open_to(STRANGER, &site, &sockets), Vec::<String>::new());
}

#[test]
fn another_user_is_not_told_that_what_serves_is_down() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let mut site = site_of(USER);
    site.start();
    site.ok(&["init"]);
    let tool = site.caller.pop().unwrap();
    fs::set_permissions(site.dir.join("builds.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    site.caller = [as_user(STRANGER, &site.dir), vec![tool]].concat();
    assert!(site.ok(&["list"]).starts_with("a      live"));
    site.ok(&["diff", "a", "b"]);
    let unseen = "this user may not see whether build a runs";
    let error = site.fails(1, &["status"]);
    assert!(error.contains(unseen) && error.contains("next: run builds as the site's user"), "{error}");
    let socket = site.build("a").join("run/vassal.stats");
    assert!(error.contains(&format!("why: {} is closed to it", socket.display())), "{error}");
    assert!(site.fails(1, &["prune", "--explain"]).contains(unseen));
    let error = site.fails(1, &["doctor"]);
    let all = ["build b", "the vassals' emperor", "the zergs' emperor", "nginx"];
    assert!(all.iter().all(|what| error.contains(&format!("not see whether {what} runs"))), "{error}");
    assert!(!error.contains("does not answer") && !error.contains("does not run"), "{error}");
}
