//! The one door to other programs: argument lists, no standard input, a deadline, and the end of what they said.

mod failure;
mod tail;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};

pub use failure::{CommandError, Outcome};
pub use tail::tail_of;

use super::children::{self, Child};
use super::signals::{self, Interrupted};
use super::{files, wait};
use tail::last_lines;

/// How long a program may take unless it is told otherwise: git in a large repository on a slow disk takes a while.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How long a user's own program may take, who can end it.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Variables that would make a program work on something else than it was told to.
const FOREIGN: [&str; 3] = ["PYTHON", "VIRTUAL_ENV", "UV_"];

/// A program to be run.
#[derive(Debug)]
pub struct Run {
    argv: Vec<OsString>,
    directory: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    without: Vec<OsString>,
    patience: Duration,
    limit: Option<&'static str>,
    hint: Option<&'static str>,
    input: Option<PathBuf>,
    text: Option<String>,
}

impl Run {
    /// The program `program`, looked up in `PATH` unless it has a slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            directory: None,
            variables: Vec::new(),
            without: Vec::new(),
            patience: PATIENCE,
            limit: None,
            hint: None,
            input: None,
            text: None,
        }
    }

    /// A whole argument list, the program first.
    pub fn list(argv: &[String]) -> Self {
        let (program, args) = argv.split_first().map_or(("", [].as_slice()), |(first, rest)| (first, rest));
        Self::new(program).args(args)
    }

    /// More arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// One more argument.
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// Where it runs.
    pub fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// More environment.
    pub fn variables<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let owned = |(key, value): (K, V)| (key.as_ref().to_owned(), value.as_ref().to_owned());
        self.variables.extend(variables.into_iter().map(owned));
        self
    }

    /// Takes variables of the caller away from it.
    pub fn without(mut self, names: impl IntoIterator<Item = OsString>) -> Self {
        self.without.extend(names);
        self
    }

    /// How long it may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long it may take by a key of `builds.toml`.
    pub fn limit(self, key: &'static str, patience: Duration) -> Self {
        Self { limit: Some(key), ..self.patience(patience) }
    }

    /// What most likely helps where it fails.
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The file that is its standard input where its output is returned.
    pub fn input(self, input: &Path) -> Self {
        Self { input: Some(input.to_owned()), ..self }
    }

    /// The text that is its standard input where its output goes to a log.
    pub fn text(self, text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..self }
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// It did not end well; the end of its standard error is in the error.
    pub fn output(&self) -> Result<Vec<u8>, CommandError> {
        self.output_or(0)
    }

    /// The same for a program that may end with another code, too.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub fn output_or(&self, code: i32) -> Result<Vec<u8>, CommandError> {
        let mut command = self.command();
        let input = self.input.as_ref().map(fs::File::open).transpose().map_err(|error| self.not_started(error))?;
        command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::piped());
        match self.wait(&mut command) {
            Ok(output) if output.status.success() || output.status.code() == Some(code) => Ok(output.stdout),
            Ok(output) => Err(self.error(Outcome::Failed(output.status), last_lines(&output.stderr), None)),
            Err(outcome) => Err(self.error(outcome, String::new(), None)),
        }
    }

    /// Runs it with all output appended to a log.
    ///
    /// # Errors
    /// It did not end well; the end of what it wrote to the log is in the error.
    pub fn logged(&self, log: &Path) -> Result<(), CommandError> {
        let failed = |error| self.error(Outcome::NoLog(error), String::new(), Some(log));
        let file = files::append(log).map_err(failed)?;
        let began = file.metadata().map_err(failed)?.len();
        // Shared with the program, so that it outlives this process where that is killed, and only there: see
        // `lock::end_orphans`. Not every file system has locks.
        let _lock = file.try_clone().ok().and_then(|file| Flock::lock(file, FlockArg::LockSharedNonblock).ok());
        let mut command = self.command();
        let input =
            self.text.as_deref().map_or_else(|| Ok(Stdio::null()), held).map_err(|error| self.not_started(error))?;
        command.stdin(input).stderr(file.try_clone().map_err(failed)?).stdout(file);
        let outcome = match self.wait(&mut command) {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => Outcome::Failed(output.status),
            Err(outcome) => outcome,
        };
        Err(self.error(outcome, tail_of(log, began), Some(log)))
    }

    /// Runs it in the terminal of the user, with its standard output sent to standard error, and returns its exit code.
    /// Whoever asks this process to end asks the program.
    ///
    /// # Errors
    /// It could not be started.
    pub fn attached_to_stderr(&self) -> Result<u8, CommandError> {
        let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(|error| self.not_started(error))?;
        let mut child = self.command().stdout(stderr).spawn().map_err(|error| self.not_started(error))?;
        let pid = Pid::from_raw(child.id() as i32);
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(child.wait()));
        let mut ended = wait::message(&receiver, FOREVER);
        if let Err(Interrupted(signal)) = ended {
            kill(pid, signal).ok();
            ended = signals::shielded(|| wait::message(&receiver, FOREVER));
        }
        match ended {
            Ok(Ok(status)) => status.map(exit_code).map_err(|error| self.not_started(error)),
            _ => Err(self.not_started(io::ErrorKind::Interrupted.into())),
        }
    }

    /// Starts it apart from this process, which may end before it; what it says is appended to a log. It is the caller's
    /// child still, and has to leave the terminal itself.
    ///
    /// # Errors
    /// It could not be started.
    pub fn detached(&self, log: &Path) -> Result<std::process::Child, CommandError> {
        let failed = |error| self.error(Outcome::NoLog(error), String::new(), Some(log));
        let file = files::append(log).map_err(failed)?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        command.spawn().map_err(|error| self.not_started(error))
    }

    /// Becomes the program.
    pub fn replace(&self) -> CommandError {
        children::adopt(false);
        let error = self.command().exec();
        self.not_started(error)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]);
        tracing::debug!("run      {}", self.line());
        for (key, _) in std::env::vars_os() {
            if FOREIGN.iter().any(|prefix| key.to_string_lossy().starts_with(prefix)) {
                command.env_remove(key);
            }
        }
        for key in &self.without {
            command.env_remove(key);
        }
        command.env("PATH", with_sbin(std::env::var_os("PATH").unwrap_or_default()));
        command.envs(self.variables.iter().map(|(key, value)| (key, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// A thread waits for the program, so that this one can give up on time.
    fn wait(&self, command: &mut Command) -> Result<Output, Outcome> {
        signals::check().map_err(|Interrupted(signal)| Outcome::Interrupted(signal))?;
        children::adopt(true);
        let child = command.spawn().map_err(Outcome::NotStarted)?;
        let started = Child::new(child.id());
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let outcome = match wait::message(&receiver, self.patience) {
            Ok(Ok(Err(error))) => return Err(Outcome::NotStarted(error)),
            Ok(Ok(Ok(output))) => match signals::check() {
                // Ctrl-C in a terminal may end the program before this process looks.
                Err(Interrupted(signal)) if !output.status.success() => Outcome::Interrupted(signal),
                _ => return Ok(output),
            },
            Ok(Err(_)) => Outcome::TimedOut(self.patience),
            Err(Interrupted(signal)) => Outcome::Interrupted(signal),
        };
        started.end();
        Err(outcome)
    }

    fn not_started(&self, error: io::Error) -> CommandError {
        self.error(Outcome::NotStarted(error), String::new(), None)
    }

    /// What an operator would type, so to speak; a whole program among the arguments is nothing to be read in a line.
    pub fn line(&self) -> String {
        let words = self.argv.iter().map(|arg| arg.to_string_lossy());
        words.map(|word| if word.contains('\n') { "…".into() } else { word }).collect::<Vec<_>>().join(" ")
    }

    fn error(&self, outcome: Outcome, tail: String, log: Option<&Path>) -> CommandError {
        let command = self.line();
        CommandError { command, outcome, tail, log: log.map(Path::to_owned), limit: self.limit, hint: self.hint }
    }
}

/// A text as standard input. It is in memory as a whole, so that nobody waits for a program that does not read it.
fn held(text: &str) -> io::Result<Stdio> {
    let mut file = fs::File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// A search path on which nginx is found: distributions keep it where an ordinary user's path does not lead.
fn with_sbin(path: OsString) -> OsString {
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    // Without one, as under `env -i`, what shells take then; an empty entry would mean the working directory.
    let path = if path.is_empty() { OsString::from("/usr/local/bin:/usr/bin:/bin") } else { path };
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(sbin.into_iter().filter(|one| !std::env::split_paths(&path).any(|other| other == *one)));
    std::env::join_paths(directories).unwrap_or(path)
}

/// Where a program is that is looked up in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = with_sbin(std::env::var_os("PATH").unwrap_or_default());
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|place| place.is_file())
}

/// The exit code as a shell would tell it: 128 and more for a signal.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_explains_itself() {
        let error = Run::new("sh").args(["-c", "echo no wine >&2; exit 3"]).output().unwrap_err();
        assert_eq!(error.what(), "sh -c echo no wine >&2; exit 3 ended with exit status: 3");
        assert_eq!(error.cause(), "no wine");
    }

    #[test]
    fn a_program_that_is_an_argument_is_not_shown() {
        let error = Run::new("python3").args(["-c", "import sys\nsys.exit(3)", "a b"]).output().unwrap_err();
        assert_eq!(error.what(), "python3 -c … a b ended with exit status: 3");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_not_blamed_on_the_program() {
        let error = Run::new("true").logged(Path::new("/dev/null/a.log")).unwrap_err();
        assert_eq!(error.what(), "cannot write the log of true");
        assert_eq!(error.cause(), "/dev/null/a.log: Not a directory (os error 20)");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Run::new("no-such-program").output().unwrap_err();
        assert_eq!(
            (error.what(), error.cause()),
            ("cannot run no-such-program".into(), "the program is not there".into())
        );
    }

    #[test]
    fn system_programs_are_found_on_an_ordinary_users_path() {
        assert_eq!(with_sbin("/usr/bin:/sbin".into()), "/usr/bin:/sbin:/usr/local/sbin:/usr/sbin");
        assert_eq!(with_sbin("".into()), "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    }

    #[test]
    fn standard_input_is_closed() {
        assert_eq!(Run::new("cat").output().unwrap(), b"");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let long: String = (0..1000).map(|line| format!("{line}\n")).collect();
        let tail = last_lines(long.as_bytes());
        assert_eq!(tail.lines().count(), 30);
        assert!(tail.ends_with("999"));
    }
}
