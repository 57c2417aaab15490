//! Disks that take no more, and sources that go away.

use std::fs;
use std::io::Write;

use nix::unistd::geteuid;

use crate::mount::Mounted;
use crate::site::{Site, wait_for};

/// A create fails by itself and leaves the site as it was; with `free` it completes.
#[track_caller]
fn fails_until(site: &Mounted, free: impl FnOnce(), words: &str) {
    let error = site.fails(1, &["create", "c"]);
    for part in ["No space left on device", words, "error: ", "  why: ", " next: "] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));
    assert_eq!((site.live("/").0, site.staged("/").0), (200, 200));
    let left: Vec<_> = walkdir::WalkDir::new(site.root())
        .into_iter()
        .flatten()
        .filter(|entry| [".tmp", "~"].iter().any(|end| entry.file_name().to_string_lossy().ends_with(end)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // Neither does it take anything to go back, or to make room.
    site.ok(&["swap-live"]);
    site.ok(&["swap-live"]);
    free();
    site.ok(&["create", "c"]);
    site.ok(&["stage", "c"]);
}

#[test]
fn a_create_on_a_full_disk_leaves_the_site_alone_and_completes_later() {
    let Some(mut site) = Mounted::tmpfs("size=64m") else { return };
    site.start();
    site.ok(&["init"]);
    fs::write(site.dir.join("large.bin"), vec![1; 4 << 20]).unwrap();
    let filler = site.root().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    // Room for the manifest, and not for the source.
    file.set_len(file.metadata().unwrap().len() - (1 << 20)).unwrap();
    drop(file);
    fails_until(&site, || fs::remove_file(&filler).unwrap(), "large.bin");
}

#[test]
fn a_create_without_inodes_leaves_the_site_alone_and_completes_later() {
    let Some(mut site) = Mounted::tmpfs("nr_inodes=2000") else { return };
    site.start();
    site.ok(&["init"]);
    let filler = site.root().join("filler");
    fs::create_dir(&filler).unwrap();
    let files = (0..).take_while(|number| fs::write(filler.join(number.to_string()), "").is_ok()).count();
    for number in 0..12.min(files) {
        fs::remove_file(filler.join(number.to_string())).unwrap();
    }
    fails_until(&site, || fs::remove_dir_all(&filler).unwrap(), "deploy/builds/c");
}

#[test]
fn on_a_read_only_root_every_change_is_refused_and_looking_works() {
    if !geteuid().is_root() {
        return eprintln!("skipped: this user may not mount");
    }
    let mut site = Site::ready("plain", "");
    site.ok(&["create", "c"]);
    site.ok(&["create", "d"]);
    site.ok(&["stop", "d"]);
    let script = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@""#;
    let root = site.root().display().to_string();
    let namespace = ["unshare", "--mount", "sh", "-c", script, &root].map(str::to_owned);
    site.caller.splice(0..0, namespace);
    let changes = ["create e", "activate c", "stop c", "stage c", "swap-live", "rm d", "archive d", "wheels", "init"];
    for change in changes {
        let args: Vec<&str> = change.split(' ').collect();
        let error = site.fails(1, &args);
        for part in ["Read-only file system", &root, "findmnt -T"] {
            assert!(error.contains(part), "{change} {part}: {error}");
        }
    }
    for look in ["status", "list", "find-free"] {
        site.ok(&[look]);
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));
    assert_eq!(site.live("/").0, 200);
}

#[test]
fn a_source_that_vanishes_while_it_is_copied_fails_the_create_alone() {
    let mut site = Site::ready("plain", "");
    for number in 0..400 {
        site.write(&format!("m/{number}"), "x");
    }
    site.write("z/last.txt", "x");
    let own = site.caller.clone();
    // Each file takes its time, which is set as its last attribute.
    let slow = ["strace", "-o", "/dev/null", "-e", "trace=utimensat", "-e", "inject=utimensat:delay_enter=10ms"];
    site.caller.splice(0..0, slow.map(str::to_owned));
    let create = site.command(&["create", "c"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for("the copy", || site.build("c").join("m").exists());
    fs::rename(site.dir.join("z"), site.root().join("gone")).unwrap();
    let said = create.wait_with_output().unwrap();
    let error = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{error}");
    for part in
        ["create c stopped at step source", "z", "it has vanished since it was listed", "builds create c continues"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!((site.status("c")["state"].as_str(), site.live("/").0), (Some("incomplete"), 200));
    site.caller = own;
    site.ok(&["create", "c"]);
    assert!(site.build("c").join("m/399").exists() && !site.build("c").join("z").exists());
}
