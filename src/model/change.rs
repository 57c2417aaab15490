//! A change of a name or of a build's state that a command made or tried: a line of the history, and what hooks are told.

use serde::{Deserialize, Serialize};

use super::name::BuildName;
use super::observed::Names;
use super::tag::Tag;

/// The longest reason that is kept, in characters.
const LONGEST: usize = 500;

/// What was done, to what, by whom, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When it was over, in seconds since 1970.
    pub at: u64,
    /// What was done.
    pub action: Action,
    /// What was typed behind `builds`.
    pub command: String,
    /// Who typed it.
    pub by: By,
    /// The build that it was done to.
    pub build: Option<BuildName>,
    /// The build's tag.
    pub tag: Option<Tag>,
    /// The commit that the build was made from.
    pub commit: Option<String>,
    /// The names before; of no build where the names had no part in it.
    pub from: Names,
    /// The names after; of no build where the names had no part in it.
    pub to: Names,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How it ended.
    pub result: Outcome,
    /// What the command exits with if this is what it ends by.
    pub code: u8,
    /// Why it did not succeed, or what an operator gave as the reason for it.
    pub reason: Option<String>,
}

/// A kind of change. Those of a newer version are read as [`Action::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A build was made.
    Create,
    /// A build's workers were started.
    Activate,
    /// A build's workers were replaced.
    Restart,
    /// Workers of a build came beside those of the live one, or went.
    Canary,
    /// A build's workers were ended.
    Deactivate,
    /// A build was stopped.
    Stop,
    /// A build was staged.
    Stage,
    /// A build became live.
    Swap,
    /// An earlier live build became live again.
    Rollback,
    /// A build was made and made live, in the steps that have lines of their own.
    Deploy,
    /// A deploy was taken back: the names are as before it.
    Undo,
    /// `init` gave the names to builds.
    Init,
    /// A build was deleted.
    Rm,
    /// A build was archived.
    Archive,
    /// A build was marked bad or good.
    Mark,
    /// The names were frozen.
    Freeze,
    /// The names were let go again.
    Thaw,
    /// nginx was told to turn visitors of live away, or to let them in again.
    Maintenance,
    /// Requests to live were held.
    Pause,
    /// Requests that a pause held were let go on.
    Resume,
    /// Database migrations of a build were applied.
    Migrate,
    /// The names were found elsewhere than the history had them: a command was killed, or somebody moved a link.
    Found,
    /// A command was killed while it worked on a build, or the power failed: the next one noticed.
    Killed,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it was meant to.
    Done,
    /// It failed.
    Failed,
    /// A rule forbids it.
    Refused,
    /// It was made and taken back.
    Undone,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The user that the command ran as.
    pub user: String,
    /// The user who called sudo for that, as sudo tells.
    pub sudo: Option<String>,
}

impl By {
    /// Who it was; of somebody behind sudo both names.
    pub fn told(&self) -> String {
        self.sudo.as_ref().map_or_else(|| self.user.clone(), |sudo| format!("{sudo} as {}", self.user))
    }
}

impl Outcome {
    /// How a command ended, by its exit code.
    pub fn of(code: u8) -> Self {
        match code {
            0 => Self::Done,
            3 => Self::Refused,
            6 => Self::Undone,
            _ => Self::Failed,
        }
    }
}

/// The reason of an error in one line: what failed, and the last line of why, or of a traceback the exception.
pub fn reason(what: &str, cause: &str) -> String {
    let text = gist(cause).map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"));
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What a program's last words come to: the last line, or the exception of the last traceback with what follows, which may be
/// the rest of its message. A traceback that is cut off, as by who reads while it is written, has none.
fn gist(cause: &str) -> Option<String> {
    let lines: Vec<&str> = cause.lines().map(str::trim_end).collect();
    let mut end = lines.len();
    while let Some(start) = lines[..end].iter().rposition(|&line| line == "Traceback (most recent call last):") {
        let is_exception = |line: &&str| !line.is_empty() && !line.starts_with(' ');
        match lines[start + 1..end].iter().position(is_exception) {
            Some(frames) => return Some(lines[start + 1 + frames..end].join(" ")),
            None => end = start,
        }
    }
    lines[..end].iter().rfind(|line| !line.is_empty()).map(|line| (*line).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    const GOOD: &str = r#"{"at": 1763800000, "action": "swap", "command": "swap-live c", "by": {"user": "deploy", "sudo":
        "ann"}, "build": "c", "tag": "v2", "commit": "0f1e", "from": {"live": "a", "stage": "c"}, "to": {"live": "c",
        "stage": "a"}, "seconds": 0.5, "result": "done", "code": 0, "reason": null}"#;

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(text in damaged(GOOD)) {
            if let Ok(mut change) = serde_json::from_str::<Change>(&text) {
                // Rounded where it is long.
                change.seconds = 0.0;
                let line = serde_json::to_string(&change).unwrap();
                prop_assert!(!line.contains('\n'));
                prop_assert_eq!(serde_json::from_str::<Change>(&line).unwrap(), change);
            }
        }

        #[test]
        fn a_reason_is_one_short_line(what: String, cause: String) {
            let reason = reason(&what, &cause);
            prop_assert!(!reason.contains('\n') && reason.chars().count() <= LONGEST + 1);
        }
    }

    #[test]
    fn what_a_newer_version_did_is_read_too() {
        let change: Change = serde_json::from_str(&GOOD.replace("\"swap\"", "\"teleport\"")).unwrap();
        assert_eq!(change.action, Action::Other);
    }

    #[test]
    fn a_reason_ends_with_the_exception() {
        let heading = "Traceback (most recent call last):\n";
        let traceback = format!("{heading}  File \"wsgi.py\"\nImportError: no x\n");
        let cases = [
            (traceback.clone(), "it failed: ImportError: no x"),
            (format!("{traceback}{heading}"), "it failed: ImportError: no x"),
            (format!("{traceback}{heading}  File \"other.py\"\n    import"), "it failed: ImportError: no x"),
            (
                format!("{heading}  File \"a.py\"\nKeyError: 1\n\nDuring that:\n\n{traceback}"),
                "it failed: ImportError: no x",
            ),
            (format!("{traceback}\tIs it there?\n"), "it failed: ImportError: no x Is it there?"),
            (format!("{traceback}make: *** Error 1"), "it failed: ImportError: no x make: *** Error 1"),
            (format!("loading\n{heading}"), "it failed: loading"),
            (heading.into(), "it failed"),
            ("one\n two \n\n".into(), "it failed: two"),
            (String::new(), "it failed"),
        ];
        for (cause, expected) in cases {
            assert_eq!(reason("it failed", &cause), expected, "{cause}");
        }
    }

    #[test]
    fn an_exit_code_tells_the_outcome() {
        let of = [0, 1, 3, 5, 6, 130].map(Outcome::of);
        use Outcome::{Done, Failed, Refused, Undone};
        assert_eq!(of, [Done, Failed, Refused, Failed, Undone, Failed]);
    }
}
