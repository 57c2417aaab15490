use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use nix::unistd::geteuid;
use walkdir::WalkDir;

use super::super::tree::{TreeError, remove_all};
use super::{GitError, git};

/// What a repository for keeps would do by default, and this one should not: tidy up in the background, warn about
/// line ends, advise on the first branch's name.
const PLAIN: [&str; 8] =
    ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.safecrlf=false", "-c", "init.defaultBranch=main"];

/// Makes `dir` a git repository of one commit that holds all its files, ignored ones too.
///
/// For sites that ask `git rev-parse HEAD` which version they are. The commit's time is now, so that every build has
/// a hash of its own. A `.git` that `dir` has already is deleted, also one that is a link to a repository elsewhere,
/// which stays as it is. The new one belongs to the owner of `dir`, since git distrusts any other.
///
/// # Errors
/// Whatever git refuses.
pub fn stamp(dir: &Path, message: &str) -> Result<(), GitError> {
    let dir = &std::path::absolute(dir).map_err(|e| TreeError::new("find", dir, e))?;
    let git_dir = dir.join(".git");
    remove_all(&git_dir)?;
    // The user's own settings, such as hooks, signing, filters or another identity, must not reach the commit.
    let mut env = vec![
        ("GIT_CONFIG_GLOBAL", OsStr::new("/dev/null")),
        ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
        ("GIT_CONFIG_COUNT", OsStr::new("0")),
        ("GIT_AUTHOR_NAME", OsStr::new("builds")),
        ("GIT_AUTHOR_EMAIL", OsStr::new("builds@localhost")),
        ("GIT_COMMITTER_NAME", OsStr::new("builds")),
        ("GIT_COMMITTER_EMAIL", OsStr::new("builds@localhost")),
    ];
    run(&["init", "--quiet", "--template="], dir, &env)?;
    // Named outright, it is not refused where `dir` belongs to another user.
    env.push(("GIT_DIR", git_dir.as_os_str()));
    env.push(("GIT_WORK_TREE", dir.as_os_str()));
    run(&["add", "--all", "--force", "."], dir, &env)?;
    let message = format!("--message={message}");
    let commit = ["commit", "--quiet", "--allow-empty", "--allow-empty-message", &message];
    run(&commit, dir, &env)?;
    hand_over(&git_dir, dir)?;
    Ok(())
}

fn run(args: &[&str], dir: &Path, env: &[(&str, &OsStr)]) -> Result<(), GitError> {
    let args: Vec<_> = PLAIN.iter().chain(args).map(|arg| arg as &dyn AsRef<OsStr>).collect();
    git(&args, dir, env).map(drop)
}

/// Gives `git_dir` and all in it to the owner of `dir`, which only root can and has to.
fn hand_over(git_dir: &Path, dir: &Path) -> Result<(), TreeError> {
    let owner = fs::metadata(dir).map_err(|e| TreeError::new("look at", dir, e))?;
    if !geteuid().is_root() || (owner.uid(), owner.gid()) == (0, 0) {
        return Ok(());
    }
    for entry in WalkDir::new(git_dir) {
        let entry = entry.map_err(|e| TreeError::new("list", git_dir, e.into()))?;
        let given = lchown(entry.path(), Some(owner.uid()), Some(owner.gid()));
        given.map_err(|e| TreeError::new("change the owner of", entry.path(), e))?;
    }
    Ok(())
}
