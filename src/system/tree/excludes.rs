use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Names that a selection leaves out. `*` stands for any characters, `?` for one, everything else for itself.
///
/// A pattern is held against one file name, never a path, and a directory that matches is left out whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excludes(Vec<String>);

/// A pattern that could never match a file name: it is empty or holds a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the exclude pattern {:?} matches no file name: a pattern is one name, without slashes", self.0)
    }
}

impl Error for BadPattern {}

impl Excludes {
    /// # Errors
    /// [`BadPattern`] for a pattern that would silently exclude nothing.
    pub fn new<I>(patterns: I) -> Result<Self, BadPattern>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let parse = |pattern: String| match pattern.is_empty() || pattern.contains('/') {
            true => Err(BadPattern(pattern)),
            false => Ok(pattern),
        };
        let patterns: Result<_, _> = patterns.into_iter().map(|p| parse(p.into())).collect();
        patterns.map(Self)
    }

    /// Whether a file or directory of this name is left out.
    #[must_use]
    pub fn matches(&self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        self.0.iter().any(|p| glob(p.as_bytes(), name))
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
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*.pyc", "a.pyc", true),
            ("*.pyc", ".pyc", true),
            ("*.pyc", "a.pyc.bak", false),
            ("node_modules", "node_modules", true),
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
            ("[a]", "a", false),
            ("[a]", "[a]", true),
            ("*", "line\nbreak", true),
        ] {
            let excludes = Excludes::new([pattern]).unwrap();
            assert_eq!(excludes.matches(OsStr::new(name)), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn a_name_need_not_be_utf8() {
        let excludes = Excludes::new(["?b*"]).unwrap();
        assert!(excludes.matches(OsStr::from_bytes(b"\xffb\x80")));
        assert!(!excludes.matches(OsStr::from_bytes(b"\xff\xffb")));
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        assert_eq!(Excludes::new(["ok", "media/"]), Err(BadPattern("media/".into())));
        assert_eq!(Excludes::new([""]), Err(BadPattern(String::new())));
    }
}
