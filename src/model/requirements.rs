//! What requirement files name: other files, and packages that are not in the wheelhouse.

use std::path::{Path, PathBuf};

/// The requirement files of a build with all that they include, relative to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Every file with its text, each once, in the order in which they are read.
    pub files: Vec<(PathBuf, String)>,
    /// A line that names something else than a package of the wheelhouse, such as `-e .`, and its file. What that
    /// installs depends on more than these files.
    pub own: Option<(PathBuf, String)>,
}

impl Requirements {
    /// Those of `files` and what they include. `read` yields the text of one, and nothing where there is none.
    pub fn read<E>(files: &[PathBuf], read: impl Fn(&Path) -> Result<Option<String>, E>) -> Result<Self, E> {
        let mut found = Self::default();
        let mut waiting: Vec<(PathBuf, Option<(PathBuf, String)>)> =
            files.iter().rev().map(|file| (file.clone(), None)).collect();
        while let Some((file, named)) = waiting.pop() {
            if found.files.iter().any(|(known, _)| *known == file) {
                continue;
            }
            let Some(text) = read(&file)? else {
                // The installer will say that better, or has found another file by that line.
                found.own = found.own.or(named);
                continue;
            };
            for line in lines(&text) {
                match meaning(&line) {
                    Meaning::Plain => {}
                    Meaning::File(other) => {
                        waiting.push((file.parent().unwrap_or(Path::new("")).join(other), Some((file.clone(), line))));
                    }
                    Meaning::Own => found.own = found.own.or_else(|| Some((file.clone(), line))),
                }
            }
            if let Some("toml" | "cfg" | "py") = file.extension().and_then(|kind| kind.to_str()) {
                found.own = found.own.or_else(|| Some((file.clone(), "a project".into())));
            }
            found.files.push((file, text));
        }
        Ok(found)
    }
}

enum Meaning {
    Plain,
    File(String),
    Own,
}

/// Lines without comments, those that end in a backslash put together.
fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let without_comment = |line: &str| match line.find(" #") {
        Some(at) => line[..at].trim().to_owned(),
        None => line.trim().to_owned(),
    };
    let lines = joined.lines().map(without_comment);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

fn meaning(line: &str) -> Meaning {
    let value = |names: [&str; 2]| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        Some(rest.trim_start_matches([' ', '=', '\t']).trim().to_owned())
    };
    if let Some(file) = value(["--requirement", "-r"]).or_else(|| value(["--constraint", "-c"])) {
        return if file.contains("://") { Meaning::Own } else { Meaning::File(file) };
    }
    if line.starts_with('-') {
        let own = ["-e", "--editable", "-f", "--find-links"].iter().any(|name| line.starts_with(name));
        return if own { Meaning::Own } else { Meaning::Plain };
    }
    // `name @ URL`, a path, an archive, or what a variable makes of it. Everything else is a name with versions, extras,
    // markers and hashes.
    let requirement = line.split([';', ' ']).next().unwrap_or(line);
    let archive = requirement.contains(".tar")
        || [".whl", ".zip", ".tgz", ".tbz", ".txz", ".tlz"].iter().any(|end| requirement.ends_with(end));
    match line.contains("://") || line.contains(['@', '/', '$']) || line.starts_with('.') || archive {
        true => Meaning::Own,
        false => Meaning::Plain,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn read(files: &[(&str, &str)]) -> Requirements {
        let text = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            Ok::<_, Infallible>(found.map(|(_, text)| (*text).to_owned()))
        };
        let Ok(read) = Requirements::read(&[PathBuf::from(files[0].0)], text);
        read
    }

    #[test]
    fn included_files_are_followed_once() {
        let all = read(&[
            ("requirements/live.txt", "-r base.txt\n--requirement=../more.txt # and these\n"),
            ("requirements/base.txt", "-c limits.txt\nDjango>=5.2,<5.3\n-r live.txt"),
            ("requirements/../more.txt", "redis[hiredis]==5 ; python_version < '4' \\\n  --hash=sha256:ab\n"),
            ("requirements/limits.txt", "# nothing\n\nidna<4\n"),
        ]);
        let names: Vec<_> = all.files.iter().map(|(path, _)| path.display().to_string()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(all.own, None);
    }

    #[test]
    fn what_is_not_in_the_wheelhouse_is_named() {
        let own = [
            "-e .",
            "--editable=./lib",
            "./vendored",
            "../lib",
            "/opt/lib",
            "shop @ file:///srv/shop",
            "git+https://x/y",
            "vendored/x-1-py3-none-any.whl",
            "x-1.tar.gz",
            "-f vendored",
            "--find-links=vendored",
            "-r https://x/requirements.txt",
            "-r missing.txt",
            "-r ${BASE}.txt",
            "${SHOP}",
            "x.tar.zst",
            "vendored.tgz",
        ];
        for line in own {
            let found = read(&[("requirements.txt", &format!("Django\n{line}\n"))]).own;
            assert_eq!(found, Some(("requirements.txt".into(), line.to_owned())), "{line}");
        }
        let found = read(&[("pyproject.toml", "[project]\ndependencies = [\"asgiref\"]")]).own;
        assert_eq!(found, Some(("pyproject.toml".into(), "a project".into())));
        for line in ["Django", "uvicorn[standard]~=0.30", "x==1 --hash=sha256:0a", "--require-hashes", "--pre", "-i x"]
        {
            assert_eq!(read(&[("requirements.txt", line)]).own, None, "{line}");
        }
    }
}
