//! `builds doctor`: every finding, each with what to type next.

mod host;
mod nginx;
mod ports;
mod uwsgi;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::site::Site;

/// Checks that doctor fails, and that one of its findings is told in these words, with this advice.
#[track_caller]
fn finds(site: &Site, found: &str, next: &str) {
    let said = site.fails(1, &["doctor"]);
    told(&said, "problem", found, next);
}

/// Checks that doctor is content, and tells this all the same.
#[track_caller]
fn notices(site: &Site, found: &str, next: &str) {
    told(&site.ok(&["doctor"]), "notice", found, next);
}

/// Looks for a finding: its kind and words, and the advice that follows before the next finding.
#[track_caller]
fn told(said: &str, kind: &str, found: &str, next: &str) {
    let mut findings: Vec<Vec<&str>> = Vec::new();
    for line in said.lines() {
        if line.contains("problem ") || line.contains("notice ") {
            findings.push(Vec::new());
        }
        if let Some(finding) = findings.last_mut() {
            finding.push(line.trim());
        }
    }
    let findings: Vec<String> = findings.iter().map(|lines| lines.join(" ")).collect();
    let wanted = |text: &&String| text.contains(kind) && text.contains(found) && text.contains(&format!("next {next}"));
    assert!(findings.iter().any(|text| wanted(&text)), "{kind}: {found}: {next}\nis not in\n{findings:#?}");
}

#[test]
fn a_healthy_site_is_in_order() {
    let site = Site::ready("plain", "");
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
    assert_eq!(site.json(&["doctor"]), serde_json::json!({"command": "doctor", "findings": []}));
    site.ok(&["swap-live"]);
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
}

#[test]
fn a_site_before_its_init_is_told_what_to_do() {
    let site = Site::new("plain", "\n[nginx]\npid_file = \"/nowhere/nginx.pid\"\n");
    let conf = site.root().join("conf").display().to_string();
    finds(&site, &format!("{conf} is not written yet"), "builds init");
    finds(&site, "the vassals' emperor does not answer", "builds up in another terminal");
    finds(&site, "the zergs' emperor does not answer", "builds up in another terminal");
    finds(&site, "nginx does not run: /nowhere/nginx.pid names no running process", "builds up, or start the host's");
    finds(&site, "there is no live or no staged build yet", "builds init");
    fs::remove_file(site.root().join("deps/wheelhouse")).unwrap();
    finds(&site, "there is no wheelhouse, or no installer beside it", "builds wheels");
    let said = site.json(&["doctor"]);
    assert_eq!(said["error"]["what"], "6 problems", "{said}");
    let findings = said["findings"].as_array().unwrap();
    assert_eq!(findings.iter().filter(|finding| finding["problem"] == true).count(), 6, "{said}");
    assert!(!conf_exists(&site), "doctor only looks");
}

fn conf_exists(site: &Site) -> bool {
    site.root().join("conf").exists() || site.root().join("run").exists() || site.root().join("logs").exists()
}

#[test]
fn secrets_that_others_may_read_are_told() {
    let site = Site::ready("plain", "");
    let file = site.dir.join("builds.toml");
    for (section, what) in
        [("[env]\nMOOD = \"calm\"", "an [env]"), ("[notify]\nsecret = \"x\"", "a secret of [notify]")]
    {
        site.configure(&format!("\n{section}\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        notices(&site, &format!("builds.toml has {what}, and other users may read it"), "chmod o-r ");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let extra = "\n[python]\ninterpreter = \"no-such-python\"\n[uwsgi]\nbinary = \"no-such-uwsgi\"\n[nginx]\nbinary = \"no-such-nginx\"\n";
    let site = Site::new("plain", extra);
    finds(&site, "uWSGI: cannot run no-such-uwsgi --version: the program is not there", "apt-get install uwsgi-core");
    finds(&site, "nginx: cannot run no-such-nginx -v: the program is not there", "apt-get install nginx");
    finds(&site, "Python with venv: cannot run no-such-python", "apt-get install python3-venv");
    site.write("package.json", "{}");
    let said = String::from_utf8(site.command(&["doctor"]).env("PATH", "/nowhere").output().unwrap().stderr).unwrap();
    told(&said, "problem", "the source has a package.json, and there is no npm", "apt-get install npm");
    site.configure("source = \"nowhere\"\n");
    finds(&site, "nowhere is no directory", "correct source in builds.toml");
}

#[test]
fn an_edited_skeleton_is_shown_with_the_lines_that_differ() {
    let site = Site::ready("plain", "");
    let zerg = site.read("deploy/conf/zerg.skel");
    site.write("deploy/conf/zerg.skel", &zerg.replace("single-interpreter = true", "harakiri = 30"));
    let path = site.root().join("conf/zerg.skel").display().to_string();
    let difference = "differs from the shipped one: - single-interpreter = true + harakiri = 30";
    notices(&site, &format!("{path} {difference}"), "leave it if you meant it; remove it and run builds init");
    let findings = &site.json(&["doctor"])["findings"];
    assert_eq!((findings[0]["problem"].as_bool(), findings.as_array().unwrap().len()), (Some(false), 1), "{findings}");
    site.ok(&["init"]);
    assert!(site.read("deploy/conf/zerg.skel").contains("harakiri"), "init leaves an operator's edit alone");
    fs::remove_file(site.dir.join("deploy/conf/zerg.skel")).unwrap();
    finds(&site, &format!("{path} is missing"), "builds init writes it");
    site.ok(&["init"]);
    assert_eq!(site.read("deploy/conf/zerg.skel"), zerg);
    site.write("deploy/conf/site.conf", "nonsense;\n");
    finds(&site, "nginx refuses its configuration", "mend the file that nginx names");
}

#[test]
fn builds_that_are_not_whole_or_not_served_are_told() {
    let mut site = Site::ready("plain", "\n[assets]\ncommands = [[\"test\", \"!\", \"-e\", \"../../broken\"]]\n");
    site.write("deploy/broken", "");
    site.fails(1, &["create", "c"]);
    notices(&site, "build c is incomplete", "builds create c continues it, builds rm c removes it");
    fs::create_dir(site.root().join("builds/.removing-d")).unwrap();
    notices(&site, ".removing-d is left of a killed command", "builds rm d");
    fs::create_dir(site.root().join("builds/e")).unwrap();
    fs::write(site.root().join("builds/e/note.txt"), "").unwrap();
    finds(&site, "builds/e was not made by builds", "look into builds/e and move it away");
    site.stop();
    finds(&site, "build a should listen, and its vassal does not answer", "builds up starts uWSGI");
}

#[test]
fn a_name_that_leads_nowhere_is_found_with_the_way_to_mend_it() {
    let site = Site::ready("plain", "");
    let live = site.root().join("builds/_live");
    let mend = format!("builds list, then ln -sfn NAME {}", live.display());
    for (target, why) in [
        ("q", "it points to q, which does not exist"),
        ("/etc", r#"it points to "/etc", which is no build of this site"#),
        ("../../elsewhere", "which is no build of this site"),
        ("b", "_live and _stage both point to b"),
    ] {
        fs::remove_file(&live).unwrap();
        symlink(target, &live).unwrap();
        let mend = if target == "b" { "builds list, then ln -sfn NAME" } else { &mend };
        finds(&site, why, mend);
        assert!(site.fails(3, &["swap-live"]).contains(why), "{target}");
    }
    fs::remove_file(&live).unwrap();
    fs::create_dir(&live).unwrap();
    finds(&site, "a file or directory stands where the link should be", &format!("move {} away", live.display()));
    fs::remove_dir(&live).unwrap();
    symlink("a", &live).unwrap();
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
}

#[test]
fn what_uwsgi_runs_and_is_no_build_is_found() {
    let site = Site::ready("plain", "");
    let copy = site.root().join("builds/a.bak");
    fs::create_dir(&copy).unwrap();
    symlink("../../conf/vassal.skel", copy.join("vassal.ini")).unwrap();
    finds(&site, "deploy/builds/a.bak is no build", "rm ");
    fs::remove_dir_all(copy).unwrap();
    assert_eq!(site.ok(&["doctor"]), "everything is in order\n");
}

#[test]
fn a_build_whose_files_are_damaged_is_found_while_it_still_runs() {
    let site = Site::ready("plain", "");
    let python = site.build("a").join("bin/python");
    fs::rename(&python, python.with_extension("away")).unwrap();
    finds(&site, "build a has lost its Python", "put ");
    fs::rename(python.with_extension("away"), &python).unwrap();
    let manifest = site.build("b").join("build.json");
    fs::write(&manifest, b"\xff\xfe").unwrap();
    finds(&site, "build.json does not say that it is complete", "builds list");
    assert_eq!(site.status("b")["state"], "incomplete");
}
