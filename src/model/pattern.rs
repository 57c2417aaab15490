//! Patterns of files that a build does not get: those of `site.exclude`, and the lines of a `.buildsignore`.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

/// A pattern, as `.gitignore` has them. `*` stands for any characters but `/`, `?` for one, everything else for itself.
///
/// With a slash in front or in its middle it is held against the path from the top, where `**` stands for any number of
/// directories; else against the name, at any depth. With a slash at its end it is for directories only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<String>,
    from_top: bool,
    directory: bool,
}

/// Why a text is no pattern. It would exclude nothing, and nobody would notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPattern {
    /// There is nothing in it.
    Empty,
    /// Other tools read more into this character.
    Character(char),
    /// It is an exception from other patterns, which there are not.
    Exception,
    /// A part between two slashes is the name of no file.
    Nameless,
}

/// A line that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// What is wrong with it.
    pub fault: BadPattern,
}

/// What a selection leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excludes(pub Vec<Pattern>);

impl Excludes {
    /// The patterns of a text: one a line, without empty lines and those that start with `#`.
    ///
    /// # Errors
    /// The first line that is no pattern.
    pub fn of_lines(text: &str) -> Result<Self, BadLine> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let parse = |(number, text): (usize, &str)| {
            text.parse().map_err(|fault| BadLine { line: number + 1, text: text.to_owned(), fault })
        };
        lines.map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a file or directory is left out, given its path from the top. What lies in a directory that is left out
    /// has no say of its own.
    pub fn leave_out(&self, path: &Path, directory: bool) -> bool {
        self.0.iter().any(|pattern| pattern.fits(path, directory))
    }

    /// Whether a directory, or one above it, is left out.
    pub fn leave_out_whole(&self, directory: &Path) -> bool {
        directory.ancestors().any(|directory| self.leave_out(directory, true))
    }
}

impl Pattern {
    fn fits(&self, path: &Path, directory: bool) -> bool {
        if self.directory && !directory {
            return false;
        }
        let mut names = path.iter().map(OsStrExt::as_bytes);
        if self.from_top {
            return lead_to(&self.parts, &names.collect::<Vec<_>>());
        }
        names.next_back().is_some_and(|name| glob(self.parts[0].as_bytes(), name))
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if let Some(character) = text.chars().find(|c| "[]{}\\".contains(*c)) {
            return Err(BadPattern::Character(character));
        }
        let inner = text.strip_suffix('/').unwrap_or(text);
        let path = inner.strip_prefix('/').unwrap_or(inner);
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        match path {
            "" => Err(BadPattern::Empty),
            _ if text.starts_with('!') => Err(BadPattern::Exception),
            _ if parts.iter().any(|part| ["", ".", ".."].contains(&part.as_str())) => Err(BadPattern::Nameless),
            _ => Ok(Self { parts, from_top: inner.contains('/'), directory: inner != text }),
        }
    }
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it is empty"),
            Self::Character(character) => {
                write!(f, r"it has {character:?}, but may have only characters other than [ ] {{ }} and \")
            }
            Self::Exception => write!(f, "it starts with '!', but there are no exceptions"),
            Self::Nameless => write!(f, "a part of it is empty, . or .., which no file is called"),
        }
    }
}

/// Whether the parts of a pattern fit all the names of a path.
fn lead_to(parts: &[String], names: &[&[u8]]) -> bool {
    match (parts, names) {
        ([], _) => names.is_empty(),
        ([any], _) if any == "**" => !names.is_empty(),
        ([any, rest @ ..], _) if any == "**" => (0..=names.len()).any(|taken| lead_to(rest, &names[taken..])),
        ([part, parts @ ..], [name, names @ ..]) => glob(part.as_bytes(), name) && lead_to(parts, names),
        (_, []) => false,
    }
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when the rest does not fit: only the last `*` ever needs to take more.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                star = Some((p, n));
            }
            Some(b'?') => {
                p += 1;
                n += character(&name[n..]);
            }
            Some(&byte) if byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after, taken)) = star else {
                    return false;
                };
                n = taken + character(&name[taken..]);
                p = after;
                star = Some((after, n));
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The length of the UTF-8 character that `bytes` starts with; a byte that starts none counts alone.
fn character(bytes: &[u8]) -> usize {
    match bytes {
        [0xC0..=0xFF, rest @ ..] => 1 + rest.iter().take(3).take_while(|&&b| b & 0xC0 == 0x80).count(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn fits(pattern: &str, path: impl AsRef<OsStr>) -> bool {
        let directory = path.as_ref().as_bytes().ends_with(b"/");
        pattern.parse::<Pattern>().unwrap().fits(Path::new(path.as_ref()), directory)
    }

    #[test]
    fn a_name_fits_at_any_depth_and_whole() {
        for (pattern, path, expected) in [
            ("*.pyc", "a.pyc", true),
            ("*.pyc", "x/y/.pyc", true),
            ("*.pyc", "a.pyc.bak", false),
            ("node_modules", "node_modules", true),
            ("node_modules", "a/node_modules", true),
            ("node_modules", "node_modules/a", false),
            ("node_modules", "node_modules2", false),
            ("node_modules", "my_node_modules", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*ab", "aab", true),
            ("a**", "a", true),
            ("?", "é", true),
            ("??", "é", false),
            ("*??", "日", false),
            ("*é", "caffé", true),
            ("?.py", "ab.py", false),
            ("*", "line\nbreak", true),
            ("**", "a/b", true),
            ("a!", "a!", true),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} against {path}");
        }
    }

    #[test]
    fn a_path_fits_from_the_top() {
        for (pattern, path, expected) in [
            ("/docs", "docs", true),
            ("/docs", "a/docs", false),
            ("app/tests", "app/tests", true),
            ("app/tests", "x/app/tests", false),
            ("app/tests", "app/tests/a", false),
            ("app/*.txt", "app/a.txt", true),
            ("app/*.txt", "app/b/a.txt", false),
            ("*/tests", "app/tests", true),
            ("*/tests", "tests", false),
            ("**/tests", "tests", true),
            ("**/tests", "a/b/tests", true),
            ("**/tests", "a/b/tests2", false),
            ("app/**", "app", false),
            ("app/**", "app/a/b", true),
            ("app/**/x", "app/x", true),
            ("app/**/x", "app/a/b/x", true),
            ("app/**/x", "app/a/b/y", false),
            ("a/**/b/**/c", "a/x/b/y/z/c", true),
            ("a/**/b/**/c", "a/x/y/z/c", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} against {path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_asks_for_a_directory() {
        for (pattern, path, expected) in [
            ("media/", "media/", true),
            ("media/", "a/media/", true),
            ("media/", "media", false),
            ("/media/", "a/media/", false),
            ("a/media/", "a/media/", true),
            ("**/", "a/", true),
            ("media", "media/", true),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} against {path}");
        }
    }

    #[test]
    fn a_name_need_not_be_utf8() {
        assert!(fits("?b*", OsStr::from_bytes(b"\xffb\x80")));
        assert!(!fits("?b*", OsStr::from_bytes(b"\xff\xffb")));
    }

    #[test]
    fn what_would_exclude_nothing_is_refused() {
        for (text, fault) in [
            ("", BadPattern::Empty),
            ("/", BadPattern::Empty),
            ("//", BadPattern::Empty),
            ("*.py[co]", BadPattern::Character('[')),
            ("!kept", BadPattern::Exception),
            ("a//b", BadPattern::Nameless),
            ("./a", BadPattern::Nameless),
            ("../a", BadPattern::Nameless),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn lines_are_patterns_but_for_comments() {
        let excludes = Excludes::of_lines("# not deployed\n\ntests/\r\n  /docs  \n").unwrap();
        assert_eq!(excludes, Excludes(vec!["tests/".parse().unwrap(), "/docs".parse().unwrap()]));
        assert!(excludes.leave_out(Path::new("a/tests"), true) && !excludes.leave_out(Path::new("a/tests"), false));
        let bad = Excludes::of_lines("# comment\nfine\n!kept\n").unwrap_err();
        assert_eq!(bad, BadLine { line: 3, text: "!kept".into(), fault: BadPattern::Exception });
    }
}
