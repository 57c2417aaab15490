//! What commands have made in a build, besides its static files: a bundler's list of its bundles, translations.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::error::{Error, Result};

/// What is at the top of a build that others write meanwhile, and is no work of the commands.
const OTHERS: [&str; 6] = [".DEPLOY_TAG", "build.ini", "build.json", "live.conf", "run", "stage.conf"];
/// Names anywhere of what is kept for speed alone.
const CACHES: [&str; 3] = ["__pycache__", ".cache", ".vite"];

/// The files of a build at one moment, each with its inode, its size and a time. A file that is written changes its ctime,
/// whoever sets back its other times.
#[derive(Debug, PartialEq, Eq)]
pub struct Before(BTreeMap<PathBuf, (u64, u64, i64, i64)>);

impl Before {
    /// Those of now.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn of(directory: &Path) -> Result<Self> {
        let others = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_str().unwrap_or_default();
            entry.depth() == 1 && OTHERS.contains(&name) || CACHES.contains(&name)
        };
        let mut found = BTreeMap::new();
        for entry in WalkDir::new(directory).into_iter().filter_entry(|entry| !others(entry)) {
            let entry = entry.map_err(|error| Error::io("read", directory)(error.into()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let data = fs::symlink_metadata(entry.path()).map_err(Error::io("look at", entry.path()))?;
            let path = entry.path().strip_prefix(directory).unwrap_or(entry.path()).to_owned();
            // That of a shared file changes also when another build gets or loses it; but nobody may write into it.
            let (seconds, nanoseconds) = match data.nlink() {
                1 => (data.ctime(), data.ctime_nsec()),
                _ => (data.mtime(), data.mtime_nsec()),
            };
            found.insert(path, (data.ino(), data.len(), seconds, nanoseconds));
        }
        Ok(Self(found))
    }

    /// What was written in the build since, or why it is no gain for another build.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn written_since(self, directory: &Path) -> Result<Result<Vec<PathBuf>, String>> {
        let Self(now) = Self::of(directory)?;
        if let Some(gone) = self.0.keys().find(|path| !now.contains_key(*path)) {
            return Ok(Err(format!("the commands deleted {}", gone.display())));
        }
        let written = now.into_iter().filter(|(path, state)| self.0.get(path) != Some(state));
        Ok(Ok(written.map(|(path, _)| path).collect()))
    }
}

/// The first of the static files, and of those written in the build, that has one of some names in it, or in its own.
///
/// # Errors
/// One cannot be read.
pub fn naming(statics: &Path, directory: &Path, written: &[PathBuf], names: &[String]) -> Result<Option<String>> {
    let all = WalkDir::new(statics).into_iter().filter_map(|entry| entry.ok().map(walkdir::DirEntry::into_path));
    let named = all.map(|file| (file.strip_prefix(statics).unwrap_or(&file).to_owned(), file));
    let written = written.iter().map(|path| (path.clone(), directory.join(path)));
    for (path, file) in named.chain(written).filter(|(_, file)| file.is_file()) {
        let content = fs::read(&file).map_err(Error::io("read", &file))?;
        if names.iter().any(|name| has(path.as_os_str().as_encoded_bytes(), name) || has(&content, name)) {
            return Ok(Some(path.display().to_string()));
        }
    }
    Ok(None)
}

/// Whether a text has a name in it, and not only as a part of another word.
fn has(text: &[u8], name: &str) -> bool {
    let goes_on = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let word = name.starts_with(|letter: char| letter.is_alphanumeric());
    text.windows(name.len()).enumerate().any(|(at, part)| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        part == name.as_bytes() && !goes_on(text.get(at + name.len())) && !(word && goes_on(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tree::scratch::Scratch;

    #[test]
    fn what_another_build_gets_meanwhile_was_not_written() {
        let place = Scratch::new();
        for (file, other) in [("shared", "theirs"), ("own", "other")] {
            fs::hard_link(place.write(format!("build/{file}"), "1234"), place.join(other)).unwrap();
        }
        fs::remove_file(place.join("other")).unwrap();
        let build = place.join("build");
        let before = Before::of(&build).unwrap();
        fs::hard_link(build.join("shared"), place.join("another")).unwrap();
        fs::write(build.join("own"), "5678").unwrap();
        fs::write(build.join("new"), "").unwrap();
        assert_eq!(before.written_since(&build).unwrap().unwrap(), [Path::new("new"), Path::new("own")]);
    }

    #[test]
    fn a_name_is_no_part_of_another_word() {
        let cases = [
            ("see /static/a/x.css", "/static/a", true),
            ("\"/srv/assets/static/a\"", "/static/a", true),
            ("/static/about/x.css", "/static/a", false),
            ("app.v2.js", "v2", true),
            ("v2", "v2", true),
            ("v21 and av2", "v2", false),
            ("", "v2", false),
        ];
        for (text, name, expected) in cases {
            assert_eq!(has(text.as_bytes(), name), expected, "{name} in {text}");
        }
    }
}
