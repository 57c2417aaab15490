//! Private directories for tests, and tests run again in a process of their own.

use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use nix::unistd::{geteuid, mkdtemp};

/// `nobody` and `nogroup` where those have their usual numbers; any that own nothing would do.
pub(crate) const NOBODY: u32 = 65534;

/// Set in a process that [`rerun`] started.
const RERUN: &str = "BUILDS_TEST_RERUN";

/// A directory that nobody else uses, deleted when it goes out of scope.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self::below(&env::temp_dir())
    }

    pub(crate) fn below(place: &Path) -> Self {
        Self(mkdtemp(&place.join("builds-test-XXXXXX")).unwrap())
    }

    /// Writes a file, making the directories above it, and returns its path.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Makes a directory and those above it, and returns its path.
    pub(crate) fn directory(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = super::remove_all(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

pub(crate) fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs `test` of `module` (its `module_path!()`) alone in a process that `prepare` arranges.
///
/// Returns whether it did, and the caller is done; `false` in that very process.
pub(crate) fn rerun(module: &str, test: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    if env::var_os(RERUN).is_some() {
        return false;
    }
    // A copy, since the build's own directory may be closed to other users.
    let place = Scratch::new();
    mode(&*place, 0o755);
    let program = place.join("test");
    // Not by this process: while it writes, a child that another test starts inherits the open file, and a program
    // that anyone has open for writing cannot be run.
    let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    mode(&program, 0o755);
    let (_, module) = module.split_once("::").unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", &format!("{module}::{test}")]);
    command.env(RERUN, "1").current_dir("/");
    prepare(&mut command);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// Runs a test again without root's power to ignore modes; `false` where it has none, and the test can go on.
pub(crate) fn rerun_without_root(module: &str, test: &str) -> bool {
    geteuid().is_root()
        && rerun(module, test, |command| {
            command.uid(NOBODY).gid(NOBODY);
        })
}
