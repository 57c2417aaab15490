//! What earlier builds have, and a build must not get, as a fresh one would be another.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

use crate::helpers::{own_store, shell};
use crate::site::{Said, Site};

/// What a create tells of its steps.
#[track_caller]
fn create(site: &Site, build: &str) -> String {
    let said = site.run(&["create", build]);
    assert_eq!(said.code, 0, "{said:?}");
    said.err
}

fn find(directory: &Path, name: &str) -> PathBuf {
    let mut walk = WalkDir::new(directory).into_iter().map(|entry| entry.unwrap());
    walk.find(|entry| entry.file_name() == name).unwrap().into_path()
}

#[test]
fn a_build_has_the_wheels_that_a_fresh_one_would_have() {
    let site = Site::up("plain", "");
    own_store(&site, "wheelhouse");
    let place = |file: &str| site.root().join("deps/wheelhouse").join(file);
    let wheel = |file: &str, price: u32| {
        let code = "import sys, zipfile\n_, file, version, price = sys.argv\nwith zipfile.ZipFile(file, 'w') as z:\n    \
            z.writestr('shopkit.py', f'price = {price}')\n    \
            z.writestr(f'shopkit-{version}.dist-info/METADATA', f'Metadata-Version: 2.1\\nName: shopkit\\nVersion: {version}\\n')\n    \
            z.writestr(f'shopkit-{version}.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n    \
            z.writestr(f'shopkit-{version}.dist-info/RECORD', '')";
        let version = file.split('-').nth(1).unwrap();
        shell(Command::new("python3").args(["-c", code]).arg(place(file)).args([version, &price.to_string()]));
    };
    let built = |build: &str| {
        create(&site, build);
        fs::read_to_string(find(&site.build(build).join("lib"), "shopkit.py")).unwrap()
    };
    site.write("requirements.txt", "shopkit\nasgiref\n");
    wheel("shopkit-1-py3-none-any.whl", 7);
    assert_eq!(built("a"), "price = 7");
    // Another file of the same name.
    wheel("shopkit-1-py3-none-any.whl", 8);
    assert_eq!(built("b"), "price = 8");
    // A newer release.
    wheel("shopkit-2-py3-none-any.whl", 9);
    assert_eq!(built("c"), "price = 9");
    // Which was none.
    fs::remove_file(place("shopkit-2-py3-none-any.whl")).unwrap();
    assert_eq!(built("d"), "price = 8");
    // The same release, built again.
    wheel("shopkit-1-1-py3-none-any.whl", 10);
    assert_eq!(built("e"), "price = 10");
}

/// A package with a script that npm runs when it installs it, as an archive in the source.
fn package(site: &Site, name: &str, script: &str) {
    let text = format!(r#"{{"name": "{name}", "version": "1.0.0", "scripts": {{"install": "{script}"}}}}"#);
    site.write(&format!("{name}/package/package.json"), &text);
    let archive = site.dir.join(format!("{name}.tgz"));
    shell(Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(site.dir.join(name)).arg("package"));
}

/// Writes `package.json`, and has npm write the lock file of it.
fn project(site: &Site, dependencies: &str) {
    site.write("package.json", &format!(r#"{{"name": "shop", "private": true, {dependencies}}}"#));
    let mut npm = Command::new("npm");
    npm.args(["install", "--package-lock-only", "--offline", "--no-audit", "--no-fund"]).current_dir(&site.dir);
    shell(&mut npm);
}

#[test]
fn the_scripts_of_packages_run_in_each_build() {
    let site = Site::up("plain", "");
    own_store(&site, "npm");
    package(&site, "reads", "cp $INIT_CWD/schema made && echo worker > $INIT_CWD/worker.js");
    project(&site, r#""dependencies": {"reads": "file:reads.tgz"}"#);
    for (build, how) in [("a", "first time"), ("b", "1 package, reused")] {
        site.write("schema", build);
        let said = create(&site, build);
        assert!(said.contains(&format!("{how}, and their scripts")), "{said}");
        let made = site.build(build).join("node_modules/reads/made");
        assert_eq!((fs::read_to_string(&made).unwrap().as_str(), fs::metadata(&made).unwrap().nlink()), (build, 1));
        assert_eq!(fs::read_to_string(site.build(build).join("worker.js")).unwrap(), "worker\n");
    }
    let nodes = find(&site.root().join("deps/store/node"), "reads");
    assert!(!nodes.join("made").exists() && fs::metadata(nodes.join("package.json")).unwrap().nlink() == 1);

    // npm leaves one out that nobody needs, where it cannot be installed.
    package(&site, "fails", "exit 1");
    let both = r#""dependencies": {"reads": "file:reads.tgz"}, "optionalDependencies": {"fails": "file:fails.tgz"}"#;
    project(&site, both);
    for build in ["c", "d"] {
        let said = create(&site, build);
        assert!(said.contains("not for reuse, as npm rebuild has failed"), "{said}");
        assert!(site.build(build).join("node_modules/reads/made").exists(), "{build}");
    }
}

#[test]
fn whatever_npm_reads_counts() {
    let site = Site::up("demo", "\n[assets]\ncommands = []\n");
    let create = |build: &str| {
        let said = Said::from(site.command(&["create", build]).env("HOME", &site.dir).output().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
        said.err
    };
    create("a");
    site.write(".npmrc", "fund=false\n");
    let said = create("b");
    assert!(said.contains(".npmrc and 1 more changed"), "{said}");
    site.write("npm-shrinkwrap.json", &site.read("package-lock.json").replacen("\"name\": ", "\"name\":  ", 1));
    let said = create("c");
    assert!(said.contains("npm ci, 1 package, npm-shrinkwrap.json changed"), "{said}");
}

#[test]
fn what_is_damaged_in_the_store_is_made_anew() {
    let reused = "\n[assets]\nreuse = true\ncommands = [[\"sh\", \"-c\", \"echo x > $STATIC_ROOT/x.css\"]]\n";
    let site = Site::up("plain", reused);
    site.write("requirements.txt", "asgiref\n");
    create(&site, "a");
    let store = site.root().join("deps/store");
    let (packages, statics) = (find(&store.join("python"), "packages"), find(&store.join("assets"), "static"));
    let spare = packages.with_file_name("spare");
    if spare.exists() {
        fs::remove_dir_all(spare).unwrap();
    }
    fs::remove_file(packages.join("asgiref/sync.py")).unwrap();
    fs::write(statics.join("x.css"), "").unwrap();
    let said = create(&site, "b");
    assert_eq!(said.matches(" is damaged, and is made anew").count(), 2, "{said}");
    assert!(
        site.build("b").join(packages.file_name().unwrap()).is_dir() || find(&site.build("b"), "sync.py").is_file()
    );
    assert_eq!(site.read("deploy/assets/static/b/x.css"), "x\n");
    let said = create(&site, "c");
    assert!(said.contains("1 package, reused") && said.contains("static files, reused"), "{said}");
    // A basis that is gone.
    fs::remove_dir_all(&packages).unwrap();
    site.write("requirements.txt", "asgiref\nsqlparse\n");
    let said = create(&site, "d");
    assert!(
        said.contains(" is damaged, and is made anew") && said.contains("2 packages, requirements.txt changed"),
        "{said}"
    );
    site.ok(&["run", "d", "--", "python", "-c", "import asgiref.sync, sqlparse"]);
}

fn assets(script: &str) -> String {
    format!("\n[assets]\nreuse = true\ncommands = [[\"sh\", \"-c\", \"{script}\"]]\n")
}

#[test]
fn what_commands_leave_for_the_server_comes_with_the_static_files() {
    let site = Site::up("plain", &assets("echo list > assets/list.json; echo x > $STATIC_ROOT/x.css"));
    site.write("assets/shop.js", "");
    for build in ["a", "b"] {
        create(&site, build);
        assert_eq!(site.read(&format!("deploy/builds/{build}/assets/list.json")), "list\n", "{build}");
    }
    assert!(create(&site, "c").contains("static files, reused"));
}

#[test]
fn static_files_that_are_of_one_build_alone_are_made_again() {
    let cases = [
        ("echo version=$BUILD_TAG > $STATIC_ROOT/v.js", "v.js names the build"),
        ("echo x > $STATIC_ROOT/app.$BUILD_TAG.js", "js names the build"),
        ("echo $STATIC_ROOT > where", "where names the build"),
    ];
    let site = Site::up("plain", "");
    for (build, (script, why)) in ["a", "b", "c"].into_iter().zip(cases) {
        site.configure(&assets(script));
        let said = site.run(&["create", build, "--tag", "v2"]);
        assert!(said.code == 0 && said.err.contains(why), "{said:?}");
    }
    let shared = site.dir.with_extension("log");
    fs::write(&shared, "").unwrap();
    std::os::unix::fs::symlink(&shared, site.dir.join("shared")).unwrap();
    site.configure(&assets("cat shared > $STATIC_ROOT/x.css"));
    let said = create(&site, "d");
    assert!(said.contains("not for reuse, as shared leads out of the build"), "{said}");
}
