use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::geteuid;

use super::super::super::tree::scratch::{NOBODY, Scratch, mode, rerun};
use super::super::stamp;
use super::{give_away, record, user};

#[test]
fn a_stamped_directory_has_one_commit_of_everything() {
    let place = Scratch::new();
    let build = place.directory("build");
    place.write("build/manage.py", "one");
    place.write("build/app/x.log", "ignored, yet part of the build");
    place.write("build/.gitignore", "*.log\n");
    stamp(&build, "-m v1: \"quoted\"\n\nbody").unwrap();
    assert_eq!(user(&build, &["status", "--porcelain"]), "");
    assert_eq!(user(&build, &["ls-files"]), ".gitignore\napp/x.log\nmanage.py");
    let told = user(&build, &["log", "--format=%an <%ae> %cn <%ce> %s"]);
    assert_eq!(told, "builds <builds@localhost> builds <builds@localhost> -m v1: \"quoted\"");
}

#[test]
fn stamping_again_starts_afresh() {
    let place = Scratch::new();
    let build = place.directory("build");
    place.write("build/manage.py", "one");
    stamp(&build, "first").unwrap();
    place.write("build/manage.py", "two");
    // As after a kill.
    place.write("build/.git/index.lock", "");
    fs::remove_file(build.join(".git/HEAD")).unwrap();
    stamp(&build, "second").unwrap();
    assert_eq!(user(&build, &["log", "--format=%s"]), "second");
    assert_eq!(user(&build, &["show", "HEAD:manage.py"]), "two");
}

#[test]
fn an_empty_directory_and_an_empty_message_will_do() {
    let place = Scratch::new();
    stamp(&place, "").unwrap();
    assert_eq!(user(&place, &["rev-parse", "HEAD"]).len(), 40);
}

#[test]
fn a_repository_that_the_directory_only_points_to_is_left_alone() {
    let place = Scratch::new();
    let real = place.directory("real");
    user(&real, &["init", "--quiet"]);
    place.write("real/file", "");
    let head = record(&real);
    place.write("real/build/file", "");
    let build = real.join("build");
    place.write("real/build/.git", format!("gitdir: {}\n", real.join(".git").display()));
    stamp(&build, "stamp").unwrap();
    assert_ne!(user(&build, &["rev-parse", "HEAD"]), head);
    assert_eq!(user(&real, &["rev-parse", "HEAD"]), head);
}

#[test]
fn the_users_settings_do_not_reach_the_commit() {
    let place = Scratch::new();
    mode(&*place, 0o755);
    let hook = place.write("templates/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
    mode(hook, 0o755);
    let templates = place.join("templates");
    let settings = format!(
        "[commit]\ngpgSign = true\n[gpg]\nprogram = false\n[user]\nname = somebody\n\
         [init]\ntemplateDir = {0}\n[core]\nhooksPath = {0}/hooks\n\
         [filter \"f\"]\nclean = false\nrequired = true\n",
        templates.display()
    );
    let settings = place.write("settings", settings);
    if rerun(module_path!(), "the_users_settings_do_not_reach_the_commit", |command| {
        command.env("GIT_CONFIG_GLOBAL", settings).env("GIT_AUTHOR_NAME", "somebody");
    }) {
        return;
    }
    let build = place.directory("build");
    place.write("build/.gitattributes", "* filter=f\n");
    stamp(&build, "stamp").unwrap();
    assert_eq!(user(&build, &["log", "--format=%an %cn %G?"]), "builds builds N");
    assert!(!build.join(".git/hooks").exists());
}

#[test]
fn a_stamp_belongs_to_the_owner_of_the_directory() {
    let place = Scratch::new();
    let build = place.directory("build");
    place.write("build/file", "");
    if geteuid().is_root() {
        give_away(&build);
    }
    stamp(&build, "stamp").unwrap();
    let expected = if geteuid().is_root() { NOBODY } else { geteuid().as_raw() };
    for path in [".git", ".git/HEAD", ".git/objects", ".git/refs/heads/main"] {
        assert_eq!(fs::metadata(build.join(path)).unwrap().uid(), expected, "{path}");
    }
}
