//! Which files a build gets, and what it is called after.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::helpers::{commit, git, listing, repository, shell};
use crate::site::Site;

/// The plain site as a git work tree.
fn tracked(extra: &str) -> Site {
    let site = Site::up("plain", extra);
    repository(&site.dir);
    site
}

#[test]
fn of_a_work_tree_the_tracked_files_are_taken_as_they_are_now() {
    let site = tracked("");
    site.write(".gitignore", "*.local\n");
    site.write("gone.py", "");
    let head = commit(&site.dir, "second");
    site.write("wsgi.py", "changed = True\n");
    site.write("untracked.py", "");
    site.write("secret.local", "");
    fs::remove_file(site.dir.join("gone.py")).unwrap();
    site.ok(&["create", "a"]);
    assert_eq!(site.read("deploy/builds/a/wsgi.py"), "changed = True\n");
    assert!(site.build("a").join(".gitignore").exists());
    for name in ["untracked.py", "secret.local", "gone.py", ".git", "deploy"] {
        assert!(!site.build("a").join(name).exists(), "{name}");
    }
    let manifest = site.read("deploy/builds/a/build.json");
    assert!(manifest.contains(&format!(r#""commit": "{head}""#)), "{manifest}");
    assert!(site.read("deploy/builds/a/.DEPLOY_TAG").ends_with("-dirty\n"));
}

#[test]
fn a_commit_is_taken_without_touching_the_work_tree() {
    let site = tracked("");
    let first = git(&site.dir, &["rev-parse", "HEAD"]);
    site.write("new.py", "");
    commit(&site.dir, "second");
    site.write("new.py", "changed");
    site.write("staged.py", "");
    git(&site.dir, &["add", "staged.py"]);
    let status = || {
        let index = fs::metadata(site.dir.join(".git/index")).unwrap().modified().unwrap();
        (git(&site.dir, &["--no-optional-locks", "status", "--porcelain=v2", "--branch"]), index)
    };
    let before = status();
    site.ok(&["create", "a", "--ref", "HEAD~1"]);
    assert_eq!(status(), before);
    assert!(site.build("a").join("wsgi.py").exists() && !site.build("a").join("new.py").exists());
    let manifest: serde_json::Value = serde_json::from_str(&site.read("deploy/builds/a/build.json")).unwrap();
    assert_eq!(manifest["source"], serde_json::json!({"path": site.dir, "commit": first, "ref": "HEAD~1"}));
    assert_eq!(site.read("deploy/builds/a/.DEPLOY_TAG").trim(), &first[..7]);
}

#[test]
fn what_is_no_commit_is_refused() {
    let site = tracked("");
    for (rev, code, words) in [
        ("--ref=no-such", 1, r#"has no "no-such""#),
        ("--ref=--output=x", 1, r#""--output=x" is not a git revision"#),
        ("--ref=", 1, r#""" is not a git revision"#),
        ("--ref=HEAD:wsgi.py", 1, r#"has no "HEAD:wsgi.py""#),
        ("--ref=^HEAD", 1, r#"has no "^HEAD""#),
    ] {
        let said = site.fails(code, &["create", "a", rev]);
        assert!(said.contains(words) && said.contains("git log --oneline"), "{rev}: {said}");
    }
    assert_eq!(site.run(&["create", "a", "--ref", "-x"]).code, 2);
    assert!(!site.build("a").join("wsgi.py").exists());

    let plain = Site::up("plain", "");
    let said = plain.fails(1, &["create", "a", "--ref", "main"]);
    assert!(said.contains("is in no git repository") && said.contains("create without --ref"), "{said}");
}

#[test]
fn names_that_a_build_needs_are_refused_in_a_commit() {
    let site = tracked("");
    site.write("zerg.ini", "[uwsgi]\n");
    commit(&site.dir, "second");
    fs::remove_file(site.dir.join("zerg.ini")).unwrap();
    let said = site.fails(1, &["create", "a", "--ref", "HEAD"]);
    assert!(said.contains("the source has zerg.ini of its own"), "{said}");
    assert!(!site.build("a").join("zerg.ini").exists());
}

#[test]
fn a_source_may_be_a_directory_of_a_repository() {
    let site = Site::up("plain", "source = \"app\"\n");
    site.write("app/wsgi.py", "inner = True\n");
    site.write("outside.txt", "");
    repository(&site.dir);
    site.write("app/new.txt", "");
    site.ok(&["create", "a"]);
    site.ok(&["create", "b", "--ref", "HEAD"]);
    for build in ["a", "b"] {
        assert_eq!(fs::read_to_string(site.build(build).join("wsgi.py")).unwrap(), "inner = True\n");
        for name in ["outside.txt", "app", "new.txt"] {
            assert!(!site.build(build).join(name).exists(), "{build}/{name}");
        }
    }
}

#[test]
fn without_git_a_build_gets_what_rsync_would_copy() {
    let site = Site::up("plain", "source = \"source\"\noverlay = \"overlay\"\n");
    let source = site.dir.join("source");
    odd_files(&source);
    for name in [".git/HEAD", "__pycache__/x.pyc", "pkg/y.pyc", "node_modules/z/index.js", "venv/bin/python"] {
        site.write(&format!("source/{name}"), "");
    }
    // Times of long ago: rsync leaves a link's time alone where it is off by less than a second.
    shell(Command::new("find").arg(&source).args([
        "-exec",
        "touch",
        "-hd",
        "2009-02-13 23:31:30.123456789",
        "{}",
        "+",
    ]));
    let expected = site.dir.join("expected");
    let excludes = [".git", "__pycache__", "*.pyc", "node_modules", "venv"].map(|name| format!("--exclude={name}"));
    shell(Command::new("rsync").arg("-a").args(excludes).arg(source.join("")).arg(&expected));
    fs::create_dir(site.dir.join("overlay")).unwrap();

    site.ok(&["create", "a"]);
    let mut build = listing(&site.build("a"), &["run", "bin", "lib", "include", "assets"]);
    for (path, seen) in listing(&expected, &[]) {
        assert_eq!(build.remove(&path), Some(seen), "{path:?}");
    }
    let bytecode = |path: &&str| path.starts_with("__pycache__") && !path.contains("wsgi.cpython-");
    let own: Vec<_> = build.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(own.iter().filter(|path| bytecode(path)).collect::<Vec<_>>(), [&"__pycache__"], "compiled here");
    let own: Vec<_> = own.into_iter().filter(|path| !path.starts_with("__pycache__")).collect();
    let names =
        [".DEPLOY_TAG", "build.ini", "build.json", "lib64", "live.conf", "pyvenv.cfg", "stage.conf", "vassal.ini"];
    assert_eq!(own, names, "the rest is the build's own");
    for name in [".git", "pkg/y.pyc", "node_modules", "venv"] {
        assert!(!site.build("a").join(name).exists(), "{name}");
    }
}

/// A tree of everything that a copy could get wrong.
fn odd_files(dir: &Path) {
    fs::create_dir_all(dir.join("pkg")).unwrap();
    fs::write(dir.join("wsgi.py"), "").unwrap();
    let names: [&[u8]; 8] = [b"new\nline", b"quote'\"", b"%d", b"a;b", b"{b}", b"\xff\xfe", b" space ", b"-rf"];
    for (number, name) in (0..).zip(names) {
        for path in [dir.join(OsStr::from_bytes(name)), dir.join("pkg").join(OsStr::from_bytes(name))] {
            fs::write(&path, format!("# {number}\n")).unwrap();
        }
    }
    fs::set_permissions(dir.join("%d"), Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(dir.join("a;b"), Permissions::from_mode(0o400)).unwrap();
    symlink("pkg/%d", dir.join("link")).unwrap();
    symlink("/nowhere/at all", dir.join("dangling")).unwrap();
    symlink("pkg", dir.join("link to directory")).unwrap();
    fs::create_dir_all(dir.join("empty/inner")).unwrap();
    fs::set_permissions(dir.join("empty/inner"), Permissions::from_mode(0o750)).unwrap();
}

#[test]
fn a_source_says_itself_what_is_not_deployed() {
    let site = Site::up("plain", "");
    for name in ["app/tests/t.py", "app/keep.py", "tests/t.py", "docs/a/b.txt", "app/docs/c.txt", "x.tmp", "y.pyc"] {
        site.write(name, "");
    }
    site.write(".buildsignore", "# what only developers need\n\n/docs/\n**/tests\n*.tmp\n");
    let left_out = ["app/tests", "tests", "docs", "x.tmp"];
    let check = |build: &str, left_out: &[&str]| {
        for name in left_out {
            assert!(!site.build(build).join(name).exists(), "{build}/{name}");
        }
        for name in ["app/keep.py", "app/docs/c.txt", "wsgi.py"] {
            assert!(site.build(build).join(name).exists(), "{build}/{name}");
        }
    };
    site.ok(&["create", "a"]);
    check("a", &[&left_out[..], &["y.pyc"]].concat());
    repository(&site.dir);
    site.ok(&["create", "b"]);
    check("b", &left_out);
    assert!(site.build("b").join("y.pyc").exists(), "git tracks it, so site.exclude has no say");

    site.write(".buildsignore", "app\n");
    site.ok(&["create", "c", "--ref", "HEAD"]);
    check("c", &left_out);

    site.write(".buildsignore", "tests\n\n!tests/kept\n");
    let said = site.fails(1, &["create", "d"]);
    let place = site.dir.join(".buildsignore").display().to_string();
    assert!(said.contains(&format!("{place} line 3: \"!tests/kept\" is no pattern: it starts with '!'")), "{said}");
    assert!(said.contains("write one pattern a line"), "{said}");
}

#[test]
fn what_is_left_out_is_not_looked_into() {
    let site = Site::up("plain", "source = \"source\"\n");
    for name in ["wsgi.py", "node_modules/m/i.js", "media/a/b.png", ".buildsignore"] {
        site.write(&format!("source/{name}"), if name == ".buildsignore" { "/media/\n" } else { "" });
    }
    let trace = site.dir.with_extension("trace");
    let mut create = Command::new("strace");
    create.args(["-f", "-y", "-e", "trace=open,openat", "-o"]).arg(&trace).args(&site.caller).args(["create", "a"]);
    shell(create.current_dir(&site.dir));
    let opened = fs::read_to_string(&trace).unwrap();
    fs::remove_file(trace).unwrap();
    let source = site.dir.join("source");
    // By its path, or by its name in the open directory.
    let looked = |name: &str| {
        let forms = [source.join(name).display().to_string(), format!("{}>, \"{name}\"", source.display())];
        forms.iter().any(|form| opened.contains(form))
    };
    assert!(looked("wsgi.py"), "{opened}");
    for name in ["node_modules", "media"] {
        assert!(!looked(name), "{name} is opened");
    }
}

#[test]
fn the_sites_own_root_inside_the_source_is_not_copied() {
    let site = Site::up("plain", "exclude = [\"*.tmp\"]\n");
    site.write("pkg/deploy/note.txt", "only the root itself is left out");
    site.write("pkg/x.tmp", "");
    site.ok(&["create", "a"]);
    assert!(!site.build("a").join("deploy").exists());
    assert!(site.build("a").join("pkg/deploy/note.txt").exists());
    assert!(!site.build("a").join("pkg/x.tmp").exists());
}

#[test]
fn the_overlay_lies_on_top_of_the_source() {
    let site = Site::up("plain", "overlay = \"host\"\nexclude = [\"host\"]\n");
    site.write("conf/settings.py", "default\n");
    site.write("conf/other.py", "default\n");
    site.write("host/conf/settings.py", "of this host\n");
    site.write("host/new/file.py", "of this host\n");
    site.ok(&["create", "a"]);
    let read = |path: &str| fs::read_to_string(site.build("a").join(path)).unwrap();
    assert_eq!(read("conf/settings.py"), "of this host\n");
    assert_eq!(read("conf/other.py"), "default\n");
    assert_eq!(read("new/file.py"), "of this host\n");

    fs::remove_dir_all(site.dir.join("host")).unwrap();
    let said = site.fails(2, &["create", "b"]);
    assert!(said.contains("site.overlay") && said.contains("there is no such file or directory"), "{said}");
}

#[test]
fn a_git_stamp_gives_every_build_a_commit_of_its_own() {
    let site = tracked("git_stamp = true\n");
    site.ok(&["create", "a", "--tag", "v1"]);
    let build = site.build("a");
    let stamp = git(&build, &["rev-parse", "HEAD"]);
    assert_eq!(stamp.len(), 40);
    assert_ne!(stamp, git(&site.dir, &["rev-parse", "HEAD"]));
    assert_eq!(git(&build, &["rev-parse", "--show-toplevel"]), build.display().to_string());
    assert_eq!(git(&build, &["log", "--format=%s"]), "v1");
    assert!(git(&build, &["ls-files"]).contains("wsgi.py"));
}

#[test]
fn the_tag_is_given_or_gits_or_untagged() {
    let site = Site::up("plain", "");
    let tag = |build: &str| {
        let said = site.run(&["run", build, "--", "sh", "-c", "echo $BUILD_TAG; cat .DEPLOY_TAG"]);
        let tags: Vec<&str> = said.out.lines().collect();
        assert_eq!(tags[0], tags[1]);
        tags[0].to_owned()
    };
    site.ok(&["create", "a"]);
    assert_eq!(tag("a"), "untagged");
    repository(&site.dir);
    git(&site.dir, &["tag", "v1.4"]);
    site.ok(&["create", "b"]);
    assert_eq!(tag("b"), "v1.4");
    site.ok(&["create", "c", "--tag", "release/2026-11"]);
    assert_eq!(tag("c"), "release/2026-11");
    assert!(site.ok(&["list"]).lines().any(|line| line.starts_with('c') && line.ends_with("release/2026-11")));
}

#[test]
fn a_bad_tag_is_refused_before_anything_is_made() {
    let site = Site::up("plain", "");
    for bad in ["", "a b", "a\nb", "%d", "$(x)", "a;b", "{x}", "é", ".x", &"x".repeat(101)] {
        let said = site.fails(2, &["create", "a", "--tag", bad]);
        assert!(said.contains("cannot be a tag") && said.contains("letters, digits and"), "{bad}: {said}");
    }
    assert!(!site.build("a").exists());
}

#[test]
fn submodules_that_are_not_there_are_refused() {
    let site = Site::up("plain", "");
    let library = site.root().join("library");
    site.write("deploy/library/inner.py", "");
    repository(&library);
    repository(&site.dir);
    let path = library.display().to_string();
    git(&site.dir, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &path, "vendored"]);
    commit(&site.dir, "second");
    let said = site.fails(1, &["create", "b", "--ref", "HEAD"]);
    assert!(said.contains("has submodules, whose files are not in its repository: vendored\n"), "{said}");
    assert!(said.contains("git submodule update --init --recursive, then create without --ref"), "{said}");
    site.ok(&["create", "a"]);
    assert!(site.build("a").join("vendored/inner.py").exists());

    git(&site.dir, &["submodule", "--quiet", "deinit", "--force", "vendored"]);
    let said = site.fails(1, &["create", "b"]);
    assert!(said.contains("submodules are not checked out: vendored\n"), "{said}");
    assert!(said.contains(&format!("git -C {} submodule update --init --recursive", site.dir.display())), "{said}");
    assert!(!site.build("b").join("wsgi.py").exists(), "nothing was copied");
}

#[test]
fn git_is_asked_few_questions() {
    let site = tracked("");
    let (log, tools) = (site.dir.with_extension("asked"), site.root().join("tools"));
    let real = shell(Command::new("sh").args(["-c", "command -v git"]));
    let verbs = "ls-files|ls-tree|rev-list|rev-parse|read-tree|checkout-index|describe";
    let recorder = format!(
        "#!/bin/sh\necho \"$*\" | grep -oE ' ({verbs}) ' | tr -d ' ' >> {}\nexec {} \"$@\"\n",
        log.display(),
        real.trim()
    );
    site.write("deploy/tools/git", &recorder);
    fs::set_permissions(tools.join("git"), Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let asked = |args: &[&str]| {
        drop(fs::remove_file(&log));
        let said = site.command(args).env("PATH", &path).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        fs::read_to_string(&log).unwrap()
    };
    assert_eq!(asked(&["create", "a"]), "ls-files\nrev-parse\ndescribe\n");
    let mut of_commit: Vec<_> =
        asked(&["create", "b", "--ref", "HEAD", "--tag", "v1"]).lines().map(str::to_owned).collect();
    of_commit.sort();
    assert_eq!(of_commit, ["checkout-index", "ls-tree", "read-tree", "rev-list", "rev-parse"]);
    fs::remove_file(log).unwrap();
}

#[test]
fn a_killed_create_of_a_commit_leaves_nothing_elsewhere() {
    let site = tracked("");
    let tools = site.root().join("tools");
    let real = shell(Command::new("sh").args(["-c", "command -v git"]));
    let killer = format!(
        "#!/bin/sh\ncase $* in *checkout-index*) kill -KILL $PPID; exit 1;; esac\nexec {} \"$@\"\n",
        real.trim()
    );
    site.write("deploy/tools/git", &killer);
    fs::set_permissions(tools.join("git"), Permissions::from_mode(0o755)).unwrap();
    let temporary = site.root().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut create = site.command(&["create", "a", "--ref", "HEAD"]);
    let killed = create.env("PATH", path).env("TMPDIR", &temporary).output().unwrap();
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(site.build("a").join("run/export").exists());
    site.ok(&["create", "a", "--ref", "HEAD"]);
    assert!(site.build("a").join("wsgi.py").exists() && !site.build("a").join("run/export").exists());
}
