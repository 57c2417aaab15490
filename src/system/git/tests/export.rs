use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::super::super::tree::scratch::{Scratch, mode};
use super::super::{GitError, find};
use super::{odd, record, repository, site_files, user, with_submodule};

/// Writes all files that `source` has in the commit `revision` into `target`, and returns them.
fn export(source: &Path, revision: &str, target: &Path) -> Result<Vec<PathBuf>, GitError> {
    let commit = find(source, revision)?.unwrap();
    let files = commit.files()?.files;
    let private = target.with_extension("private");
    commit.export(&files, target, &private)?;
    assert!(!private.exists());
    Ok(files)
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn a_commit_is_exported_and_the_repository_left_alone() {
    let place = Scratch::new();
    let repository = repository(&place);
    mode(repository.join("site/manage.py"), 0o755);
    record(&repository);
    user(&repository, &["tag", "--force", "v1"]);
    // Later commits, staged and unstaged changes: none of them belongs to v1.
    place.write("repository/site/later.py", "");
    place.write("repository/site/manage.py", "two");
    record(&repository);
    place.write("repository/site/manage.py", "staged");
    user(&repository, &["add", "--all"]);
    place.write("repository/site/manage.py", "unstaged");
    place.write("repository/site/untracked", "");
    // Times old enough for git to have no reason to refresh its index.
    let state = |repository: &Path| {
        let index = repository.join(".git/index");
        let modified = fs::metadata(&index).map(|m| (m.ino(), m.mtime(), m.mtime_nsec())).unwrap();
        (fs::read(index).unwrap(), modified, names(&repository.join(".git")))
    };
    let status = user(&repository, &["status", "--porcelain"]);
    let before = state(&repository);

    let target = place.join("target");
    let files = export(&repository.join("site"), "v1", &target).unwrap();
    assert_eq!(state(&repository), before);
    assert_eq!(user(&repository, &["status", "--porcelain"]), status);
    assert_eq!(read(repository.join("site/manage.py")), "unstaged");

    assert_eq!(files, site_files());
    assert_eq!(names(&target), [odd().as_ref(), Path::new("app"), Path::new("link"), Path::new("manage.py")]);
    assert_eq!(read(target.join("manage.py")), "one");
    assert_eq!(fs::metadata(target.join("manage.py")).unwrap().mode() & 0o111, 0o111);
    assert_eq!(fs::metadata(target.join("app/models.py")).unwrap().mode() & 0o111, 0);
    assert_eq!(fs::read_link(target.join("link")).unwrap(), Path::new("manage.py"));
    for file in &files {
        let found = fs::symlink_metadata(target.join(file)).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (1_700_000_000, 0), "{file:?}");
    }
}

#[test]
fn the_whole_repository_can_be_the_source() {
    let place = Scratch::new();
    let files = export(&repository(&place), "HEAD", &place.join("target")).unwrap();
    assert!(files.contains(&"site/app/models.py".into()) && files.contains(&".gitignore".into()));
    assert_eq!(read(place.join("target/README")), "top");
}

#[test]
fn what_an_earlier_export_left_is_replaced_and_never_followed() {
    let place = Scratch::new();
    let repository = repository(&place);
    let site = repository.join("site");
    let target = place.join("target");
    place.write("elsewhere/models.py", "theirs");
    place.write("elsewhere/file", "theirs");
    place.write("target/manage.py", "o");
    fs::hard_link(target.join("manage.py"), place.join("kept")).unwrap();
    place.write("target/link/below", "a directory in the way");
    place.write("target/.gitattributes", "* text eol=crlf\n");
    symlink("../elsewhere", target.join("app")).unwrap();
    symlink("../elsewhere/file", target.join(odd())).unwrap();

    place.write("repository/site/.gitattributes", "");
    record(&repository);
    export(&site, "HEAD", &target).unwrap();
    assert_eq!(read(target.join("manage.py")), "one");
    assert_eq!(read(place.join("kept")), "o");
    assert!(target.join("link").is_symlink());
    assert_eq!(read(target.join("app/models.py")), "one");
    assert!(!target.join("app").is_symlink() && !target.join(odd()).is_symlink());
    assert_eq!(read(place.join("elsewhere/models.py")), "theirs");
    assert_eq!(read(place.join("elsewhere/file")), "theirs");
}

#[test]
fn attributes_are_the_commits_own() {
    let place = Scratch::new();
    let repository = repository(&place);
    place.write("repository/site/.gitattributes", "*.bat eol=crlf\n");
    place.write("repository/site/run.bat", "a\n");
    record(&repository);
    place.write("repository/site/.gitattributes", "*.py eol=crlf\n");
    let target = place.join("target");
    export(&repository.join("site"), "HEAD", &target).unwrap();
    assert_eq!(read(target.join("run.bat")), "a\r\n");
}

#[test]
fn a_repositorys_ways_with_its_work_tree_do_not_matter() {
    let place = Scratch::new();
    let repository = repository(&place);
    user(&repository, &["sparse-checkout", "set", "--no-cone", "/site/app/"]);
    user(&repository, &["config", "core.splitIndex", "true"]);
    let monitor = place.write("monitor", "#!/bin/sh\ntouch \"$0 was asked\"\n");
    mode(&monitor, 0o755);
    user(&repository, &["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    assert!(!repository.join("site/manage.py").exists());
    let before = names(&repository.join(".git"));
    let files = export(&repository, "v1", &place.join("target")).unwrap();
    assert!(files.iter().all(|file| place.join("target").join(file).symlink_metadata().is_ok()));
    assert_eq!(names(&repository.join(".git")), before);
    assert!(!place.join("monitor was asked").exists());
}

#[test]
fn what_cannot_be_exported_is_named() {
    let place = Scratch::new();
    let repository = repository(&place);
    let target = place.join("target");
    let failed = export(&repository, "-v1", &target).unwrap_err();
    assert!(matches!(&failed, GitError::BadRevision(r) if r == "-v1"), "{failed:?}");
    let failed = export(&repository, "v9", &target).unwrap_err();
    assert!(matches!(&failed, GitError::UnknownRevision { revision, .. } if revision == "v9"), "{failed:?}");

    place.write("repository/new/file", "");
    let failed = export(&repository.join("new"), "v1", &target).unwrap_err();
    assert!(matches!(&failed, GitError::UnknownRevision { revision, .. } if revision.ends_with(":./")), "{failed:?}");

    for revision in ["v1..v1", "^v1", "v1 v1", "v1:site", "v1^@"] {
        let failed = find(&repository.join("site"), revision).unwrap_err();
        assert!(matches!(&failed, GitError::UnknownRevision { revision: r, .. } if r == revision), "{failed:?}");
    }
    assert!(!target.exists());
    assert!(find(&place.directory("plain"), "v1").unwrap().is_none());
}

#[test]
fn some_files_of_a_commit_can_be_had_and_submodules_are_named() {
    let place = Scratch::new();
    let repository = repository(&place);
    with_submodule(&place, &repository);
    let commit = find(&repository.join("site"), "HEAD").unwrap().unwrap();
    let found = commit.files().unwrap();
    assert_eq!((found.files, found.missing), (site_files(), vec![PathBuf::from("vendored")]));
    assert_eq!(commit.read("app/models.py").unwrap(), "one");
    let target = place.join("target");
    commit.export(&[odd().into(), "app/models.py".into()], &target, &place.join("private")).unwrap();
    assert_eq!(names(&target), [Path::new(odd()), Path::new("app")]);
}

#[test]
fn a_repository_whose_name_has_newlines_is_one() {
    let place = Scratch::new();
    let repository = repository(&place);
    let odd = place.join("new\nline\n");
    fs::rename(repository, &odd).unwrap();
    assert_eq!(export(&odd.join("site"), "v1", &place.join("target")).unwrap(), site_files());
}

#[test]
fn a_target_that_is_a_link_is_refused() {
    let place = Scratch::new();
    let repository = repository(&place);
    place.directory("live");
    symlink("live", place.join("target")).unwrap();
    assert!(matches!(export(&repository, "v1", &place.join("target")), Err(GitError::Tree(_))));
    assert_eq!(names(&place.join("live")), Vec::<PathBuf>::new());
}
