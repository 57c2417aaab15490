//! What differs between two builds.

use crate::helpers::{commit, repository};
use crate::site::Site;

#[test]
fn commits_packages_settings_and_static_files_are_compared() {
    let site = Site::new("plain", "overlay = \"overlay\"\n");
    let collect = "\n[assets]\ncommands = [[\"sh\", \"-c\", \"cp -a assets-src/. $STATIC_ROOT\"]]\n";
    site.configure(&format!("overlay = \"overlay\"\n{collect}"));
    site.write("requirements.txt", "asgiref\n");
    site.write("shop/settings.py", "DEBUG = True\n");
    site.write("shop/settings/base.py", "NAME = 'old'\n");
    site.write("assets-src/same.css", "");
    site.write("assets-src/site.css", "old");
    site.write("assets-src/gone.css", "");
    site.write("overlay/host.conf", "one");
    repository(&site.dir);
    let mut site = site;
    site.start();
    site.ok(&["init"]);
    let nothing = "commits: 0 only in b, 0 only in a\nPython packages: 0 differ\nnpm packages: 0 differ\n\
        settings files: 0 differ\nstatic files: 0 added, 0 changed, 0 removed\n";
    assert_eq!(site.ok(&["diff", "live", "stage"]), nothing);

    site.write("requirements.txt", "sqlparse\n");
    let first = commit(&site.dir, "Sell \u{1b}[2Jsprockets");
    site.write("shop/settings.py", "DEBUG = False\n");
    site.write("shop/settings/local.py", "");
    std::fs::remove_file(site.dir.join("shop/settings/base.py")).unwrap();
    site.write("shop/views.py", "");
    site.write("assets-src/site.css", "new");
    site.write("assets-src/more.css", "");
    std::fs::remove_file(site.dir.join("assets-src/gone.css")).unwrap();
    site.write("overlay/host.conf", "two");
    let second = commit(&site.dir, "Settings");
    site.ok(&["create", "c"]);
    let told = site.ok(&["diff", "a", "c"]);
    let lines: Vec<&str> = told.lines().collect();
    let expected = [
        "commits: 2 only in c, 0 only in a",
        &format!("  + {} Settings", &second[..12]),
        &format!("  + {} Sell ?[2Jsprockets", &first[..12]),
        "Python packages: 2 differ",
    ];
    assert_eq!(lines[..4], expected);
    assert!(lines[4].starts_with("  - asgiref 3") && lines[5].starts_with("  + sqlparse 0"), "{told}");
    let expected = [
        "npm packages: 0 differ",
        "settings files: 4 differ",
        "  ~ host.conf",
        "  - shop/settings/base.py",
        "  + shop/settings/local.py",
        "  ~ shop/settings.py",
        "static files: 1 added, 1 changed, 1 removed",
    ];
    assert_eq!(lines[6..], expected);
    let details = site.ok(&["-v", "diff", "c", "a"]);
    for part in [
        "commits: 0 only in a, 2 only in c",
        "  + gone.css\n",
        "--- c/shop/settings.py\n+++ a/shop/settings.py\n",
        "+DEBUG = True\n",
        "-two",
    ] {
        assert!(details.contains(part), "{part}: {details}");
    }
    let said = site.json(&["diff", "c", "a"]);
    assert_eq!(
        (&said["removed_commits"][0]["commit"], &said["static"][0]["fate"]),
        (&second.into(), &"added".into()),
        "{said}"
    );
}

#[test]
fn what_nobody_knows_is_said() {
    let site = Site::ready("plain", "");
    assert!(site.ok(&["diff", "a", "b"]).starts_with("commits: unknown, as a is of no commit\n"));
    assert_eq!(site.json(&["diff", "a", "b"])["added_commits"], serde_json::Value::Null);
    site.ok(&["find-free", "--reserve"]);
    assert!(site.fails(3, &["diff", "a", "c"]).contains("build c is incomplete"));
    let manifest = site.read("deploy/builds/a/build.json").replace(r#""name": "a""#, r#""name": "c""#);
    site.write("deploy/builds/c/build.json", &manifest.replace("complete", "creating"));
    assert!(site.fails(3, &["diff", "a", "c"]).contains("build c is incomplete"));
    assert!(site.fails(2, &["diff", "a", "d"]).contains("there is no build d"));
}
