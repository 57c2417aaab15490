//! What the files of a build were when it was created, and what became of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What can be told of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A regular file.
    File {
        /// Its permissions.
        mode: u32,
        /// In bytes.
        size: u64,
        /// When it was last modified: seconds since 1970, and nanoseconds.
        modified: (i64, i64),
    },
    /// A link, and where it leads.
    Link(PathBuf),
    /// Something else that is no directory.
    Other,
}

/// The files and links of a build, by path from the build's directory.
pub type Listing = BTreeMap<PathBuf, Seen>;

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It was not there.
    Added,
    /// Its content, or where it leads, is another; or it was written to, and is the same.
    Edited,
    /// It has other permissions.
    Mode,
    /// It is not there.
    Removed,
}

/// Whether a path of a build is written after its create by `builds` and uWSGI themselves, such as settings, links and
/// sockets; by Python that keeps bytecode; or by npm's programs that keep a cache among the packages.
pub fn is_alive(path: &Path) -> bool {
    const ALIVE: [&str; 9] = [
        "run",
        "build.json",
        "build.ini",
        "vassal.ini",
        "zerg.ini",
        "zerg-2.ini",
        "canary.ini",
        "live.conf",
        "stage.conf",
    ];
    let bytecode = path.extension() == Some(OsStr::new("pyc"))
        && path.parent().and_then(Path::file_name) == Some(OsStr::new("__pycache__"));
    let names: Vec<&OsStr> = path.iter().collect();
    let cache = names.windows(2).any(|pair| pair == ["node_modules", ".cache"]);
    bytecode || cache || path.iter().next().and_then(OsStr::to_str).is_some_and(|top| ALIVE.contains(&top))
}

/// What differs, by path. What is alive never does.
pub fn differences(before: &Listing, now: &Listing) -> BTreeMap<PathBuf, Fate> {
    let fate = |path: &PathBuf| match (before.get(path), now.get(path)) {
        (None, _) => Some(Fate::Added),
        (_, None) => Some(Fate::Removed),
        (Some(before), Some(now)) => before.fate(now),
    };
    let paths = before.keys().chain(now.keys()).filter(|path| !is_alive(path));
    paths.filter_map(|path| Some((path.clone(), fate(path)?))).collect()
}

impl Seen {
    fn fate(&self, now: &Self) -> Option<Fate> {
        match (self, now) {
            (Self::File { mode, size, modified }, Self::File { mode: own, size: length, modified: written }) => {
                match (size, modified) == (length, written) {
                    true => (mode != own).then_some(Fate::Mode),
                    false => Some(Fate::Edited),
                }
            }
            (before, now) => (before != now).then_some(Fate::Edited),
        }
    }
}

/// The listing as it is kept: a record a path, each ended by a NUL, as names may have anything else in them; after the last
/// one how many they are, which a torn file lacks.
pub fn write(listing: &[(PathBuf, Seen)]) -> Vec<u8> {
    let mut text = Vec::with_capacity(listing.len() * 100);
    for (path, seen) in listing {
        let head = match seen {
            Seen::File { mode, size, modified: (seconds, nanoseconds) } => {
                format!("f {mode:o} {size} {seconds} {nanoseconds} ")
            }
            Seen::Link(target) => format!("l {} ", target.as_os_str().len()),
            Seen::Other => "o ".into(),
        };
        text.extend_from_slice(head.as_bytes());
        if let Seen::Link(target) = seen {
            text.extend_from_slice(target.as_os_str().as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(path.as_os_str().as_bytes());
        text.push(0);
    }
    text.extend_from_slice(format!("end {}\0", listing.len()).as_bytes());
    text
}

/// Reads what [`write`] has written; `None` where that is not all.
pub fn read(text: &[u8]) -> Option<Listing> {
    let mut records: Vec<&[u8]> = text.strip_suffix(&[0])?.split(|&byte| byte == 0).collect();
    let last = std::str::from_utf8(records.pop()?).ok()?;
    let count: usize = last.strip_prefix("end ")?.parse().ok()?;
    let listing: Listing = records.iter().map(|record| read_record(record)).collect::<Option<_>>()?;
    (records.len() == count).then_some(listing)
}

fn read_record(record: &[u8]) -> Option<(PathBuf, Seen)> {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let (kind, rest) = word(record)?;
    match kind {
        "f" => {
            let (mode, rest) = word(rest)?;
            let (size, rest) = word(rest)?;
            let (seconds, rest) = word(rest)?;
            let (nanoseconds, rest) = word(rest)?;
            let mode = u32::from_str_radix(mode, 8).ok()?;
            let modified = (seconds.parse().ok()?, nanoseconds.parse().ok()?);
            Some((path(rest), Seen::File { mode, size: size.parse().ok()?, modified }))
        }
        "l" => {
            let (length, rest) = word(rest)?;
            let (target, rest) = rest.split_at_checked(length.parse().ok()?)?;
            Some((path(rest.strip_prefix(b" ")?), Seen::Link(path(target))))
        }
        "o" => Some((path(rest), Seen::Other)),
        _ => None,
    }
}

/// The text before the first blank, and what is behind it.
fn word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let at = bytes.iter().position(|&byte| byte == b' ')?;
    Some((std::str::from_utf8(&bytes[..at]).ok()?, &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    fn file(mode: u32, size: u64, seconds: i64) -> Seen {
        Seen::File { mode, size, modified: (seconds, 7) }
    }

    fn listing(entries: &[(&str, Seen)]) -> Listing {
        entries.iter().map(|(path, seen)| (PathBuf::from(path), seen.clone())).collect()
    }

    #[test]
    fn what_became_of_each_path() {
        let before = listing(&[
            ("same.py", file(0o644, 1, 5)),
            ("longer.py", file(0o644, 1, 5)),
            ("later.py", file(0o644, 1, 5)),
            ("mode.py", file(0o644, 1, 5)),
            ("gone.py", file(0o644, 1, 5)),
            ("link", Seen::Link("a".into())),
            ("now-link", file(0o644, 1, 5)),
            ("build.json", file(0o644, 1, 5)),
        ]);
        let now = listing(&[
            ("same.py", file(0o644, 1, 5)),
            ("longer.py", file(0o644, 2, 5)),
            ("later.py", file(0o600, 1, 6)),
            ("mode.py", file(0o755, 1, 5)),
            ("new.py", file(0o644, 1, 5)),
            ("link", Seen::Link("b".into())),
            ("now-link", Seen::Link("b".into())),
            ("build.json", file(0o644, 9, 9)),
            ("run/web.sock", Seen::Other),
            ("zerg.ini", Seen::Link("../../conf/zerg.skel".into())),
            ("shop/__pycache__/views.cpython-311.pyc", file(0o644, 1, 9)),
            ("web/node_modules/.cache/x", file(0o644, 1, 9)),
            ("shop/views.pyc", file(0o644, 1, 9)),
            ("shop/run", file(0o644, 1, 9)),
        ]);
        let found: Vec<String> =
            differences(&before, &now).iter().map(|(path, fate)| format!("{} {fate:?}", path.display())).collect();
        let expected = [
            "gone.py Removed",
            "later.py Edited",
            "link Edited",
            "longer.py Edited",
            "mode.py Mode",
            "new.py Added",
            "now-link Edited",
            "shop/run Added",
            "shop/views.pyc Added",
        ];
        assert_eq!(found, expected);
        assert!(differences(&now, &now).is_empty());
    }

    #[test]
    fn names_may_be_anything_and_a_torn_listing_is_none() {
        let odd = PathBuf::from(OsStr::from_bytes(b"a b\n\xff l 3"));
        let entries = [
            (odd.clone(), file(0o4755, u64::MAX, -3)),
            ("link".into(), Seen::Link(odd)),
            ("pipe ".into(), Seen::Other),
        ];
        let text = write(&entries);
        assert_eq!(read(&text), Some(Listing::from(entries)));
        assert!((0..text.len()).all(|end| read(&text[..end]).is_none()));
        assert_eq!(read(b"l 1 a b\0end 2\0"), None);
        assert_eq!(read(&write(&[])), Some(Listing::new()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in damaged("f 644 12 1763800000 7 shop/views.py\0l 4 a b c link\0o pipe\0end 3\0")) {
            read(text.as_bytes());
        }
    }
}
