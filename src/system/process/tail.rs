//! The end of what a program said, as it is shown to a person.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a failed program's output is shown, in lines and in bytes.
const TAIL: (usize, u64) = (30, 8 << 10);

/// The last lines that were written to a file after `from` bytes.
pub fn tail_of(path: &Path, from: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL.1)).min(end)))?;
        let mut text = Vec::new();
        file.take(TAIL.1).read_to_end(&mut text)?;
        Ok(text)
    };
    read().map_or_else(|_| String::new(), |text| last_lines(&text))
}

/// The last lines of what a program said.
pub fn last_lines(text: &[u8]) -> String {
    let start = text.len().saturating_sub(TAIL.1 as usize);
    let text = String::from_utf8_lossy(&text[start..]);
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines[lines.len().saturating_sub(TAIL.0)..].join("\n").trim().to_owned()
}

/// What a line shows in the end: progress bars are written over and over, and colours and the like are for a terminal that is
/// the program's own.
fn plain(line: &str) -> String {
    let mut letters = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().chars().peekable();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            // Up to its final byte. Source: ECMA-48, 5.4, "Control sequences".
            '\u{1b}' if letters.next_if_eq(&'[').is_some() => _ = letters.find(|letter| ('@'..='~').contains(letter)),
            '\t' => text.push(letter),
            _ if letter.is_control() => {}
            _ => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_made_for_a_terminal_the_text_is_left() {
        let cases = [
            ("as it is\t→ é", "as it is\t→ é"),
            ("10 %\r20 %\r", "20 %"),
            ("\u{1b}[31;1mred\u{1b}[0m \u{1b}[2Jall", "red all"),
            ("\u{7}\u{8}bell\u{9b}\u{1b}", "bell"),
            ("cut\u{1b}[31", "cut"),
        ];
        for (line, expected) in cases {
            assert_eq!(plain(line), expected, "{line:?}");
        }
        assert_eq!(last_lines(b"one\r\n1\r2\r\n\n"), "one\n2");
    }
}
