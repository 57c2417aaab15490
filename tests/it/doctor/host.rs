//! What `builds doctor` finds of the host: limits, file system, clock.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{finds, notices};
use crate::helpers::shell;
use crate::site::Site;

/// Lets the site's commands run behind others, in namespaces of their own that `unshare` makes.
fn prepare(site: &mut Site, namespace: &str, script: &str) -> bool {
    let script = format!("{script} && exec \"$0\" \"$@\"");
    let before = ["unshare", namespace, "sh", "-c", &script].map(str::to_owned);
    let can = Command::new("unshare").args([namespace, "true"]).status().is_ok_and(|status| status.success());
    if can {
        site.caller.splice(0..0, before);
    } else {
        eprintln!("skipped: this user may not unshare {namespace}");
    }
    can
}

#[test]
fn a_kernel_that_allows_a_short_backlog_only() {
    let mut site = Site::new("plain", "");
    if prepare(&mut site, "--net", "echo 99 > /proc/sys/net/core/somaxconn") {
        let found = "uwsgi.listen is 100, and the kernel allows 99: uWSGI will not start";
        finds(&site, found, "sysctl -w net.core.somaxconn=100, or a lower listen");
        site.configure("\n[uwsgi]\nlisten = 99\n");
        assert!(!site.fails(1, &["doctor"]).contains("uwsgi.listen"));
    }
}

#[test]
fn a_disk_that_is_nearly_full() {
    let mut site = Site::new("plain", "");
    if prepare(&mut site, "--mount", "mount -t tmpfs -o size=64m,nr_inodes=1000 tmpfs deploy") {
        let root = site.root().display().to_string();
        finds(&site, &format!("{root} has 67 MB left: less than 200 MB, which a further"), &format!("df -h {root}"));
        finds(&site, &format!("{root} has room for 999 files: less than 20000"), &format!("df -i {root}"));
    }
}

#[test]
fn a_build_that_would_not_fit_again() {
    let site = Site::new("plain", "");
    fs::create_dir_all(site.build("a").join("run")).unwrap();
    let manifest = r#"{"name": "a", "state": "complete", "tag": "v1", "created": 5, "source": {"path": "/src"},
        "bytes": 9000000000000000, "static_bytes": 18446744073709551615, "steps": []}"#;
    site.write("deploy/builds/a/build.json", manifest);
    finds(&site, "MB left: less than 18446744073", "df -h");
}

#[test]
fn a_file_system_that_exchanges_no_links() {
    let mut site = Site::ready("plain", "");
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
    // No file system that every machine has refuses it.
    let refuse = ["strace", "-f", "-o", "/dev/null", "-e", "inject=renameat2:error=EINVAL"].map(str::to_owned);
    site.caller.splice(0..0, refuse);
    let builds = site.root().join("builds").display().to_string();
    let found = format!("the file system of {builds} cannot exchange two links: a swap goes by a third one");
    notices(&site, &found, &format!("findmnt -T {builds}"));
    let mut left: Vec<_> = fs::read_dir(builds).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["_live", "_stage", "a", "b"], "the links of the trial are gone");
}

#[test]
fn links_from_the_future() {
    let site = Site::new("plain", "");
    let links = ["_live", "_stage", "a/vassal.ini", "a/zerg.ini"].map(|link| site.root().join("builds").join(link));
    fs::create_dir_all(site.build("a")).unwrap();
    for link in &links {
        symlink("a", link).unwrap();
    }
    assert!(!site.fails(1, &["doctor"]).contains("from now"));
    for link in &links {
        shell(Command::new("touch").args(["-h", "-d", "+1 hour"]).arg(link));
        let found = format!("{} was changed 3", link.display());
        finds(&site, &found, &format!("date; when that is right, touch -h {}", link.display()));
        shell(Command::new("touch").arg("-h").arg(link));
    }
    assert!(!site.fails(1, &["doctor"]).contains("from now"));
}

#[test]
fn temporary_files_of_killed_commands() {
    let site = Site::ready("plain", "");
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let (dead, alive) = (ended.id(), std::process::id());
    for place in ["run", "conf", "builds", "builds/a", "builds/a/run/env"] {
        let file = site.root().join(place).join(format!(".x.ini.{dead}.builds.tmp"));
        symlink("nowhere", &file).unwrap();
        symlink("nowhere", site.root().join(place).join(format!(".x.ini.{alive}.builds.tmp"))).unwrap();
        notices(&site, &format!("{} is left of a killed command", file.display()), &format!("rm {}", file.display()));
        fs::remove_file(file).unwrap();
    }
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n", "those of commands that run are none");
}
