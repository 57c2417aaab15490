//! What a command says: its result on standard output, everything else on standard error.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::Level;

use crate::error::{Error, Result};
use crate::system::terminal::Lines;

/// The result of a command.
#[derive(Debug, Default)]
pub struct Done {
    /// Whether it changed anything; `None` for commands that only look.
    changed: Option<bool>,
    /// For people. May be empty.
    text: String,
    /// For programs.
    fields: Map<String, Value>,
    /// The exit code of a program that the command ran for the user.
    code: u8,
}

impl Done {
    /// The result of a command that changes things.
    pub fn changed(changed: bool, text: impl Into<String>) -> Self {
        Self { changed: Some(changed), text: text.into(), ..Self::default() }
    }

    /// The result of a command that only looks.
    pub fn looked(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Adds a field to the JSON document.
    pub fn with(mut self, key: &str, value: impl Serialize) -> Self {
        self.fields.insert(key.to_owned(), json!(value));
        self
    }

    /// Ends with the exit code of the user's own program.
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

/// Sends progress to standard error: nothing but warnings with `quiet`, more with `verbose`.
pub fn start_log(quiet: bool, verbose: bool) {
    let level = match (quiet, verbose) {
        (true, _) => Level::WARN,
        (false, false) => Level::INFO,
        (false, true) => Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Lines)
        .with_target(false)
        .with_level(false)
        .without_time()
        .with_ansi(false)
        // Nobody reads any more, or the disk with the log is full: the command goes on.
        .log_internal_errors(false)
        .init();
}

/// Says what happens, in a line on standard output, for programs that follow a command as it goes.
pub fn event(event: Value) {
    // A reader that has gone away does not stop a deploy.
    drop(say(&event.to_string()));
}

/// Says how a command ended, and returns its exit code.
pub fn finish(command: &str, json: bool, result: Result<Done>) -> ExitCode {
    let (document, text, code) = match result {
        Ok(done) => {
            let code = ExitCode::from(done.code);
            (document(command, &done), done.text, code)
        }
        Err(error) => {
            let next = error.next();
            let (what, why) = (error.what(), indented(&error.cause()));
            writeln!(io::stderr(), "error: {what}\n  why: {why}\n next: {next}").ok();
            (failure(command, &error), String::new(), ExitCode::from(&error))
        }
    };
    let written = if json { say(&document.to_string()) } else { say(&text) };
    // A reader that has gone away, such as `head`, has what it wanted.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => code,
    }
}

/// Says what clap answers to a command line: what is wrong with it, or the help that was asked for.
pub fn usage(answer: &clap::Error) -> ExitCode {
    drop(answer.print());
    // Nothing was parsed, so the words themselves must tell; those after -- are not ours.
    let words = || std::env::args_os().skip(1).take_while(|word| word != "--");
    if answer.use_stderr() && words().any(|word| word == "--json") {
        let command = words().filter_map(|word| word.into_string().ok()).find(|word| !word.starts_with('-'));
        let text = answer.to_string();
        let (what, usage) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
        let document = json!({
            "command": command,
            "changed": false,
            "error": {
                "code": answer.exit_code(),
                "what": what.trim_start_matches("error: "),
                "why": usage,
                "next": "builds --help",
            },
        });
        drop(say(&document.to_string()));
    }
    ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2))
}

fn say(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end())?;
    stdout.flush()
}

fn document(command: &str, done: &Done) -> Value {
    let mut document = Map::from_iter([("command".to_owned(), json!(command))]);
    if let Some(changed) = done.changed {
        document.insert("changed".to_owned(), json!(changed));
    }
    document.extend(done.fields.clone());
    Value::Object(document)
}

fn failure(command: &str, error: &Error) -> Value {
    let mut document = json!({
        "command": command,
        "changed": false,
        "error": { "code": error.code(), "what": error.what(), "why": error.cause(), "next": error.next() },
    });
    if let Error::Doctor { findings, .. } = error {
        document["findings"] = json!(findings);
    }
    document
}

/// Puts the further lines of a text below the first.
fn indented(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("\n       ")
}
