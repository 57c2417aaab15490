//! Names, links and packages that try to get out of a build, or into a configuration.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::{git, listing, own_store, repository, shell};
use crate::site::{Site, wait_for};

/// A directory beside the site's root with something in it, and how it looks.
fn outside(site: &Site) -> (PathBuf, impl Fn() + use<>) {
    let outside = site.root().join("outside");
    fs::create_dir_all(outside.join("python3.11/site-packages")).unwrap();
    fs::write(outside.join("python3.11/site-packages/theirs.py"), "").unwrap();
    let before = listing(&outside, &[]);
    let dir = outside.clone();
    (outside, move || assert_eq!(listing(&dir, &[]), before, "nothing outside was touched"))
}

#[test]
fn a_build_that_is_a_link_is_no_build() {
    let site = Site::ready("plain", "");
    let (outside, untouched) = outside(&site);
    symlink("../outside", site.build("c")).unwrap();
    for args in ["create", "activate", "deactivate", "stop", "stage", "warmup", "swap-live", "archive", "rm"] {
        let said = site.run(&[args, "c"]);
        assert!([2, 3].contains(&said.code), "{args}: {said:?}");
    }
    assert!(!site.ok(&["status"]).contains("\nc "));
    assert!(!site.ok(&["list"]).contains("\nc "));
    assert_eq!(site.ok(&["find-free"]), "d\n");
    untouched();

    // The live build, swapped while it serves.
    fs::rename(site.build("a"), site.build("a").with_extension("away")).unwrap();
    symlink(&outside, site.build("a")).unwrap();
    assert!(site.fails(3, &["swap-live"]).contains("_live is not as it must be"));
    assert!(site.fails(1, &["doctor"]).contains("_live is not as it must be"));
    untouched();
    fs::remove_file(site.build("a")).unwrap();
    fs::rename(site.build("a").with_extension("away"), site.build("a")).unwrap();
    // The emperors may have looked in between, and start it again.
    wait_for("the live build", || site.live("/").0 == 200);
}

#[test]
fn a_run_directory_that_leads_elsewhere_is_not_followed() {
    let site = Site::ready("plain", "");
    let (outside, untouched) = outside(&site);
    site.ok(&["create", "c"]);
    site.ok(&["stop", "c"]);
    let run = site.build("c").join("run");
    fs::rename(&run, run.with_extension("away")).unwrap();
    symlink(&outside, &run).unwrap();
    for args in ["create", "activate", "deactivate", "stop", "stage", "warmup", "archive", "rm"] {
        let said = site.fails(1, &[args, "c"]);
        assert!(said.contains("c/run is no directory"), "{args}: {said}");
    }
    assert!(site.fails(1, &["doctor"]).contains("c/run is no directory"));
    untouched();
    fs::remove_file(&run).unwrap();
    site.ok(&["rm", "c"]);
    untouched();
}

#[test]
fn links_in_the_source_lead_no_step_out_of_the_build() {
    let site = Site::up("plain", "");
    let (outside, untouched) = outside(&site);
    site.write("package.json", "{}");
    for name in ["bin", "lib", "include", "share", "assets", "node_modules", "pyvenv.cfg"] {
        let link = site.dir.join(name);
        let target = if name == "pyvenv.cfg" { outside.join("theirs.cfg") } else { outside.clone() };
        symlink(target, &link).unwrap();
        repository(&site.dir);
        for args in [&["create", "a"][..], &["create", "a", "--ref", "HEAD"]] {
            let said = site.fails(1, args);
            assert!(said.contains(&format!("a/{name} is a link that leads out of the build")), "{args:?}: {said}");
            site.ok(&["rm", "a"]);
        }
        untouched();
        fs::remove_file(&link).unwrap();
        fs::remove_dir_all(site.dir.join(".git")).unwrap();
    }
    fs::remove_file(site.dir.join("package.json")).unwrap();
    symlink("code", site.dir.join("lib")).unwrap();
    site.write("code/x.py", "");
    symlink(&outside, site.dir.join("media")).unwrap();
    site.ok(&["create", "a"]);
    untouched();
}

#[test]
fn no_package_is_unpacked_outside_a_build() {
    let site = Site::up("plain", "");
    own_store(&site, "wheelhouse");
    let absolute = site.dir.join("escaped-absolute.py");
    let code = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/evil-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in (
        ("evil.py", ""),
        ("../" * 4 + "escaped-a.py", ""),
        ("../" * 5 + "escaped-b.py", ""),
        ("evil-1.0.data/data/../../escaped-c.py", ""),
        (sys.argv[2], ""),
        ("evil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"),
        ("evil-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ("evil-1.0.dist-info/RECORD", ""),
    ):
        wheel.writestr(name, text)
"#;
    shell(Command::new("python3").args(["-c", code]).arg(site.root().join("deps/wheelhouse")).arg(&absolute));
    site.write("requirements.txt", "evil\n");
    for installer in ["pip", "uv"] {
        site.configure(&format!("\n[python]\ninstaller = \"{installer}\"\n"));
        let said = site.run(&["create", "a"]);
        nothing_escaped(&site, installer);
        if said.code != 0 {
            assert!(said.err.contains("create a stopped at step python"), "{installer}: {said:?}");
        }
        site.ok(&["rm", "a"]);
    }

    site.write("requirements.txt", "");
    let code = r#"
import io, sys, tarfile
with tarfile.open("evil.tgz", "w:gz") as archive:
    for name, text in (
        ("package/package.json", '{"name": "evil", "version": "1.0.0"}'),
        ("package/../../../../escaped-d.js", ""),
        ("../../../escaped-e.js", ""),
        (sys.argv[1], ""),
    ):
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    link = tarfile.TarInfo("package/out")
    link.type, link.linkname = tarfile.SYMTYPE, "../../.."
    archive.addfile(link)
    archive.addfile(tarfile.TarInfo("package/out/escaped-f.js"))
"#;
    shell(Command::new("python3").args(["-c", code]).arg(&absolute).current_dir(&site.dir));
    site.write("package.json", r#"{"dependencies": {"evil": "file:evil.tgz"}}"#);
    site.run(&["create", "a"]);
    assert!(site.build("a").join("node_modules/evil/package.json").exists(), "npm unpacks it");
    nothing_escaped(&site, "npm");
}

/// Checks that nothing of this name lies anywhere but in what one package may write to: its build.
#[track_caller]
fn nothing_escaped(site: &Site, by: &str) {
    let all = walkdir::WalkDir::new(&site.dir).into_iter().map(|entry| entry.unwrap());
    let escaped = all.filter(|entry| entry.file_name().to_string_lossy().starts_with("escaped-"));
    // What a build has in its place, the store of installed packages has, too.
    let inside = [site.build("a"), site.root().join("deps/store/python")];
    let escaped: Vec<_> = escaped.filter(|entry| !inside.iter().any(|one| entry.path().starts_with(one))).collect();
    assert!(escaped.is_empty(), "{by}: {escaped:?}");
    let above = ["escaped-a.py", "escaped-b.py", "escaped-d.js", "escaped-e.js"];
    assert!(above.iter().all(|name| !site.dir.with_file_name(name).exists()), "{by}");
}

#[test]
fn a_commit_cannot_name_files_outside_a_build() {
    let site = Site::up("plain", "");
    repository(&site.dir);
    let blob = git(&site.dir, &["rev-parse", "HEAD:wsgi.py"]);
    let code = r#"
import subprocess, sys
tree = b"".join(b"100644 " + name + b"\0" + bytes.fromhex(sys.argv[1]) for name in (b"../escaped-a.py", b"wsgi.py"))
run = lambda *args, text=b"": subprocess.run(["git", *args], input=text, check=True, stdout=-1).stdout.decode().strip()
tree = run("hash-object", "-t", "tree", "-w", "--literally", "--stdin", text=tree)
print(run("-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-m", "x"))
"#;
    let commit = shell(Command::new("python3").args(["-c", code, &blob]).current_dir(&site.dir));
    let said = site.fails(1, &["create", "a", "--ref", &commit]);
    assert!(said.contains("create a stopped at step source"), "{said}");
    nothing_escaped(&site, "git");
}

#[test]
fn odd_file_names_are_only_names() {
    let names =
        ["new\nline", "quo\"te'", "per%cent %d%c", "semi;{brace}", "back\\slash", "-rf", "$(touch escaped-a)", "é ü"];
    for tracked in [false, true] {
        let site = Site::up("plain", "");
        for name in names {
            site.write(name, "text");
            site.write(&format!("dir {name}/wsgi.py"), "raise SystemExit");
            site.write(&format!("dir {name}/vassal.ini"), "[uwsgi]\n");
        }
        if tracked {
            repository(&site.dir);
        }
        let source = |dir: &Path| names.map(|name| fs::read_to_string(dir.join(name)).unwrap());
        site.ok(&["init"]);
        assert_eq!(source(&site.build("a")), source(&site.dir));
        assert_eq!(site.live("/").0, 200);
        nothing_escaped(&site, "a name");
        site.ok(&["create", "c"]);
        site.ok(&["archive", "c"]);
        site.ok(&["rm", "c"]);
    }
}

#[test]
fn an_odd_project_directory_reaches_no_configuration() {
    let mut site = Site::new("plain", "");
    let root = site.root();
    let odd = site.dir.join("it's %d;{\n[uwsgi]\nexec-asap = touch escaped-a\n}\"$(x)");
    fs::create_dir(&odd).unwrap();
    fs::rename(site.dir.join("wsgi.py"), odd.join("wsgi.py")).unwrap();
    let toml = site.read("builds.toml").replace("name = \"it\"\n", "");
    fs::remove_file(site.dir.join("builds.toml")).unwrap();
    fs::write(odd.join("builds.toml"), &toml).unwrap();
    site.caller.extend(["--config".into(), odd.join("builds.toml").display().to_string()]);
    let said = site.fails(2, &["init"]);
    assert!(said.contains("site.root"), "{said}");
    fs::write(odd.join("builds.toml"), toml.replace("[site]", &format!("[site]\nroot = {root:?}"))).unwrap();
    site.start();
    site.ok(&["init"]);
    assert_eq!(site.live("/").0, 200);
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
    nothing_escaped(&site, "a directory");
    let all = walkdir::WalkDir::new(root.join("conf")).into_iter().map(|entry| entry.unwrap().into_path());
    for file in all.filter(|path| path.is_file()).chain([site.build("a").join("build.ini")]) {
        assert!(!fs::read_to_string(&file).unwrap().contains("exec-asap ="), "{}", file.display());
    }
}
