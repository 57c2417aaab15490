use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::GitError;
use crate::system::process::{Outcome, Run};

/// Runs git in `dir` with `env` added, and returns what it printed.
///
/// It never asks anything, takes no lock that it can do without, and speaks English.
pub(super) fn git(args: &[&dyn AsRef<OsStr>], dir: &Path, env: &[(&str, &OsStr)]) -> Result<Vec<u8>, GitError> {
    answer(prepared(args, dir, env))
}

/// Like [`git`], with a file as its standard input.
pub(super) fn git_reading(
    input: &Path,
    args: &[&dyn AsRef<OsStr>],
    dir: &Path,
    env: &[(&str, &OsStr)],
) -> Result<Vec<u8>, GitError> {
    answer(prepared(args, dir, env).input(input))
}

fn prepared(args: &[&dyn AsRef<OsStr>], dir: &Path, env: &[(&str, &OsStr)]) -> Run {
    Run::new("git")
        .without(inherited())
        .variables([("LC_ALL", "C"), ("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0")])
        .variables(env.iter().copied())
        .arg("-C")
        .arg(dir)
        .args(args.iter().map(|arg| arg.as_ref()))
}

fn answer(run: Run) -> Result<Vec<u8>, GitError> {
    run.output().map_err(|error| match error.outcome {
        Outcome::NotStarted(source) => GitError::Start(source),
        Outcome::Failed(status) => GitError::Failed { command: error.command, code: status.code(), said: error.tail },
        _ => GitError::Failed { said: error.what(), command: error.command, code: None },
    })
}

/// The caller's variables that would lead git elsewhere: a hook has `GIT_DIR` and `GIT_INDEX_FILE` set, for one.
///
/// Where its configuration is stays, and with it `safe.directory`; so does how far up it may look for a repository.
fn inherited() -> impl Iterator<Item = OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| {
        let name = name.as_bytes();
        let kept: [&[u8]; 3] = [b"GIT_CONFIG_", b"GIT_CEILING_", b"GIT_DISCOVERY_"];
        name == b"GIT_CONFIG_PARAMETERS"
            || name.starts_with(b"GIT_") && name != b"GIT_EXEC_PATH" && !kept.iter().any(|k| name.starts_with(k))
    })
}
