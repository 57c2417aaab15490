//! What was edited in a build.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::helpers::shell;
use crate::site::{Site, get};

#[test]
fn what_was_done_to_a_build_is_told_and_what_it_does_itself_is_not() {
    let site = Site::ready("demo", "\n[env]\nMOOD = \"calm\"\n");
    assert_eq!(
        site.ok(&["verify", "live"]),
        "build a is as it was created, by size, time and permissions of its files\n"
    );
    site.ok(&["create", "c"]);
    site.ok(&["stage", "c"]);
    site.ok(&["swap-live"]);
    assert_eq!(get(site.port("c"), "/").0, 200);
    site.ok(&["run", "c", "--", "python", "-c", "import this, json.tool"]);
    site.configure("\n[env]\nMOOD = \"merry\"\n[uwsgi]\nthreads = 2\n");
    site.ok(&["restart", "c"]);
    site.ok(&["swap-live"]);
    site.ok(&["stage", "b"]);
    site.ok(&["archive", "c"]);
    site.ok(&["activate", "c"]);
    assert_eq!(site.json(&["verify", "c"])["same"], true);

    let build = site.build("c");
    site.write("deploy/builds/c/manage.py", "edited");
    site.write("deploy/builds/c/debug.py", "");
    site.write("deploy/assets/static/c/new.css", "");
    fs::remove_file(build.join("requirements.txt")).unwrap();
    shell(Command::new("chmod").arg("600").arg(build.join("package.json")));
    fs::remove_file(build.join("assets/media")).unwrap();
    symlink("/tmp", build.join("assets/media")).unwrap();
    let said = site.run(&["verify", "c"]);
    let expected = "edited   assets/media\nadded    assets/static/new.css\nadded    debug.py\nedited   manage.py\n\
        mode     package.json\nremoved  requirements.txt\n";
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (5, expected, ""));
    let said = site.json(&["verify", "c"]);
    assert_eq!((&said["same"], &said["files"][3]["fate"]), (&false.into(), &"edited".into()), "{said}");
}

#[test]
fn without_a_record_or_a_whole_build_there_is_no_answer() {
    let site = Site::ready("plain", "");
    fs::write(site.build("a").join("run/files.list"), "f 644 1 1 1 wsgi.py\0").unwrap();
    let said = site.fails(1, &["verify", "a"]);
    assert!(said.contains("nobody knows what the files of build a were"), "{said}");
    site.ok(&["find-free", "--reserve"]);
    assert!(site.fails(3, &["verify", "c"]).contains("build c is incomplete"));
}
