mod export;
mod lfs;
mod stamp;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use nix::unistd::geteuid;
use walkdir::WalkDir;

use super::super::tree::scratch::{NOBODY, Scratch, rerun};
use super::{GitError, commit, describe, tracked};

/// Git as a user runs it, apart from this machine's configuration.
fn users_git(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_COMMITTER_DATE", "1700000000 +0000");
    command.arg("-C").arg(dir).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]);
    command.args(["-c", "protocol.file.allow=always"]).args(args);
    command.output().unwrap()
}

/// What git says when it succeeds, which it has to.
fn user(dir: &Path, args: &[&str]) -> String {
    let output = users_git(dir, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Commits all that is there and not ignored.
fn record(repository: &Path) -> String {
    user(repository, &["add", "--all"]);
    user(repository, &["commit", "--quiet", "--message=m"]);
    user(repository, &["rev-parse", "HEAD"])
}

/// A repository of one commit that is tagged `v1`, with a site in a subdirectory.
fn repository(place: &Scratch) -> PathBuf {
    let repository = place.directory("repository");
    user(&repository, &["init", "--quiet"]);
    user(&repository, &["config", "core.abbrev", "9"]);
    place.write("repository/README", "top");
    place.write("repository/.gitignore", "*.log\n");
    place.write("repository/site/manage.py", "one");
    place.write("repository/site/app/models.py", "one");
    place.write(Path::new("repository/site").join(odd()), "one");
    symlink("manage.py", repository.join("site/link")).unwrap();
    record(&repository);
    user(&repository, &["tag", "v1"]);
    repository
}

fn odd() -> &'static OsStr {
    OsStr::from_bytes(b"-odd\n\xff name")
}

fn site_files() -> Vec<PathBuf> {
    [odd(), OsStr::new("app/models.py"), OsStr::new("link"), OsStr::new("manage.py")].map(PathBuf::from).into()
}

fn files_of(source: &Path) -> Vec<PathBuf> {
    tracked(source).unwrap().unwrap().files
}

#[test]
fn a_work_tree_is_one_with_tracked_files() {
    let place = Scratch::new();
    let repository = repository(&place);
    place.write("repository/untracked/file", "");
    place.write("plain/file", "");
    user(&place.directory("unborn"), &["init", "--quiet"]);
    for (name, expected) in [
        ("repository", true),
        ("repository/site", true),
        ("repository/untracked", false),
        ("unborn", false),
        ("plain", false),
    ] {
        assert_eq!(tracked(&place.join(name)).unwrap().is_some(), expected, "{name}");
    }
    assert!(tracked(&repository.join("no such directory")).is_err());
}

#[test]
fn without_git_there_is_no_work_tree() {
    if rerun(module_path!(), "without_git_there_is_no_work_tree", |command| {
        command.env("PATH", "/nonexistent");
    }) {
        return;
    }
    let place = Scratch::new();
    assert_eq!(tracked(&place).unwrap(), None);
    let failed = commit(&place, None).unwrap_err();
    assert_eq!(failed.to_string(), "git is not installed");
}

#[test]
fn tracked_files_are_those_of_the_index_that_are_there() {
    let place = Scratch::new();
    let repository = repository(&place);
    place.write("repository/site/app/gone.py", "");
    place.write("repository/site/now a directory", "");
    place.write("repository/site/moved/away/file", "");
    place.write("repository/site/ignored, yet tracked.log", "");
    user(&repository, &["add", "--force", "--all"]);
    fs::remove_file(repository.join("site/app/gone.py")).unwrap();
    fs::remove_file(repository.join("site/now a directory")).unwrap();
    place.write("repository/site/now a directory/untracked", "");
    fs::rename(repository.join("site/moved"), place.join("elsewhere")).unwrap();
    symlink("../../elsewhere", repository.join("site/moved")).unwrap();
    place.write("repository/site/untracked", "");
    place.write("repository/site/ignored.log", "");

    let mut expected = site_files();
    expected.insert(2, "ignored, yet tracked.log".into());
    assert_eq!(files_of(&repository.join("site")), expected);
    assert_eq!(files_of(&repository).len(), expected.len() + 2);
}

#[test]
fn a_file_in_conflict_is_tracked_once() {
    let place = Scratch::new();
    let repository = repository(&place);
    user(&repository, &["checkout", "--quiet", "-b", "other"]);
    place.write("repository/README", "theirs");
    record(&repository);
    user(&repository, &["checkout", "--quiet", "-"]);
    place.write("repository/README", "ours");
    record(&repository);
    assert!(!users_git(&repository, &["merge", "other"]).status.success());
    assert_eq!(user(&repository, &["status", "--porcelain"]), "UU README");
    let files = files_of(&repository);
    assert_eq!(files.iter().filter(|f| *f == Path::new("README")).count(), 1);
}

#[test]
fn files_of_submodules_are_tracked() {
    let place = Scratch::new();
    let repository = repository(&place);
    with_submodule(&place, &repository);
    let site = repository.join("site");
    let found = tracked(&site).unwrap().unwrap();
    assert_eq!(found.missing, Vec::<PathBuf>::new());
    let files = found.files;
    assert!(files.contains(&"vendored/inner".into()), "{files:?}");
    assert!(!files.contains(&"vendored".into()), "{files:?}");
}

#[test]
fn a_submodule_that_is_not_checked_out_is_missing() {
    let place = Scratch::new();
    let repository = repository(&place);
    with_submodule(&place, &repository);
    let missing = |source: &Path| tracked(source).unwrap().unwrap().missing;

    let middle = place.directory("middle");
    user(&middle, &["init", "--quiet"]);
    user(&middle, &["submodule", "--quiet", "add", place.join("library").to_str().unwrap(), "deep/nested"]);
    record(&middle);
    user(&repository, &["submodule", "--quiet", "add", middle.to_str().unwrap(), "site/app/middle"]);
    place.write("repository/site/now a directory", "");
    record(&repository);
    fs::remove_file(repository.join("site/now a directory")).unwrap();
    place.write("repository/site/now a directory/untracked", "");
    assert_eq!(missing(&repository.join("site")), [Path::new("app/middle/deep/nested")]);

    let clone = place.join("clone");
    user(&place, &["clone", "--quiet", repository.to_str().unwrap(), "clone"]);
    assert_eq!(missing(&clone.join("site")), ["vendored", "app/middle"].map(Path::new));
    user(&clone, &["submodule", "--quiet", "update", "--init", "--recursive"]);
    assert_eq!(missing(&clone), Vec::<PathBuf>::new());
    fs::remove_dir_all(clone.join("site/vendored")).unwrap();
    assert_eq!(missing(&clone), Vec::<PathBuf>::new(), "deleted, as a file can be");

    let embedded = place.directory("repository/site/embedded");
    user(&embedded, &["init", "--quiet"]);
    place.write("repository/site/embedded/file", "");
    record(&embedded);
    record(&repository);
    assert!(missing(&repository).contains(&"site/embedded".into()));
}

/// Adds and commits a submodule at `site/vendored`.
fn with_submodule(place: &Scratch, repository: &Path) {
    let library = place.directory("library");
    user(&library, &["init", "--quiet"]);
    place.write("library/inner", "");
    record(&library);
    user(repository, &["submodule", "--quiet", "add", library.to_str().unwrap(), "site/vendored"]);
    record(repository);
}

#[test]
fn a_commit_is_a_full_hash() {
    let place = Scratch::new();
    let repository = repository(&place);
    let first = user(&repository, &["rev-parse", "HEAD"]);
    place.write("repository/site/manage.py", "two");
    let second = record(&repository);
    let site = repository.join("site");
    assert_eq!(commit(&site, None).unwrap(), second);
    for revision in ["v1", "HEAD~1", &first, &first[..10]] {
        assert_eq!(commit(&site, Some(revision)).unwrap(), first, "{revision}");
    }
}

#[test]
fn a_revision_that_is_none_is_named() {
    let place = Scratch::new();
    let repository = repository(&place);
    for revision in ["", "-h", "--all", "v1\0"] {
        let failed = commit(&repository, Some(revision)).unwrap_err();
        assert!(matches!(&failed, GitError::BadRevision(r) if r == revision), "{failed:?}");
    }
    for revision in ["v2", "^v1", "v1..v1", "v1:site", "v1 ; id", "0000000"] {
        let failed = commit(&repository, Some(revision)).unwrap_err();
        assert!(matches!(&failed, GitError::UnknownRevision { revision: r, .. } if r == revision), "{failed:?}");
        assert!(failed.to_string().contains(revision), "{failed}");
    }
    let unborn = place.directory("unborn");
    user(&unborn, &["init", "--quiet"]);
    assert!(matches!(commit(&unborn, None), Err(GitError::UnknownRevision { .. })));
}

#[test]
fn a_description_tells_tag_distance_and_dirt() {
    let place = Scratch::new();
    let repository = repository(&place);
    assert_eq!(describe(&repository, None).unwrap(), "v1");
    place.write("repository/site/manage.py", "two");
    assert_eq!(describe(&repository.join("site"), None).unwrap(), "v1-dirty");
    assert_eq!(describe(&repository, Some(&commit(&repository, None).unwrap())).unwrap(), "v1");
    let second = record(&repository);
    assert_eq!(describe(&repository, None).unwrap(), format!("v1-1-g{}", &second[..9]));
    user(&repository, &["tag", "--delete", "v1"]);
    assert_eq!(describe(&repository, None).unwrap(), second[..9]);
}

#[test]
fn the_callers_git_variables_lead_nowhere() {
    if rerun(module_path!(), "the_callers_git_variables_lead_nowhere", |command| {
        command.env("GIT_DIR", "/nonexistent").env("GIT_WORK_TREE", "/nonexistent");
        command.env("GIT_INDEX_FILE", "/nonexistent").env("GIT_OBJECT_DIRECTORY", "/nonexistent");
        command.env("GIT_LITERAL_PATHSPECS", "1").env("GIT_PREFIX", "x/");
    }) {
        return;
    }
    let place = Scratch::new();
    let site = repository(&place).join("site");
    assert_eq!(files_of(&site), site_files());
    assert_eq!(describe(&site, None).unwrap(), "v1");
}

#[test]
fn git_says_itself_that_it_distrusts_another_users_repository() {
    if !geteuid().is_root() {
        return eprintln!("only root can give a repository to another user");
    }
    let test = "git_says_itself_that_it_distrusts_another_users_repository";
    if rerun(module_path!(), test, |command| {
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("SUDO_UID");
    }) {
        return;
    }
    let place = Scratch::new();
    let repository = repository(&place);
    give_away(&repository);
    let failed = tracked(&repository).unwrap_err();
    assert!(failed.to_string().contains("git config --global --add safe.directory"), "{failed}");
}

fn give_away(tree: &Path) {
    for entry in WalkDir::new(tree) {
        lchown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
}
