mod files;

use std::fmt::Write;

use clap::Args;

use self::files::{Counts, Difference};
use super::Cli;
use crate::error::Result;
use crate::model::difference::{self, Change};
use crate::model::listing::Fate;
use crate::model::manifest::{Manifest, Progress};
use crate::model::name::BuildName;
use crate::model::rules::Refusal;
use crate::report::Done;
use crate::site::Site;
use crate::system::git::{self, Entry};

/// Which builds.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds diff live stage\n\n\
    Commits are those of the source's repository that lead to one build and not to the other. Settings are Python files with\n\
    settings in their names or in a directory of that name, and the files of the overlay. With -v also what differs in each\n\
    of them, which may be secret, and the names of static files.")]
pub struct Arguments {
    /// The build to start from: a name, live or stage
    from: String,
    /// The build to compare with it
    to: String,
}

/// What differs between two builds.
struct Differences {
    from: BuildName,
    to: BuildName,
    /// Those that only the second build has, and those that only the first has; or why nobody knows.
    commits: std::result::Result<[Vec<Entry>; 2], String>,
    python: Vec<Change>,
    npm: Vec<Change>,
    settings: Vec<Difference>,
    statics: Vec<Difference>,
}

pub fn run(arguments: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let [from, to] = [&arguments.from, &arguments.to].map(|build| whole(&site, build));
    let (from, to) = (from?, to?);
    let found = Differences {
        from: from.name,
        to: to.name,
        commits: commits(&site, &from, &to),
        python: difference::packages(&from.wheels, &to.wheels),
        npm: difference::packages(&from.npm, &to.npm),
        settings: files::settings(&site, from.name, to.name)?,
        statics: files::statics(&site, from.name, to.name)?,
    };
    let details =
        if cli.common.verbose { files::details(&site, &found.settings, from.name, to.name)? } else { String::new() };
    let text = found.text(cli.common.verbose) + &details;
    let commits = found.commits.as_ref().ok();
    Ok(Done::looked(text)
        .with("from", found.from)
        .with("to", found.to)
        .with("added_commits", commits.map(|[added, _]| added))
        .with("removed_commits", commits.map(|[_, removed]| removed))
        .with("python", &found.python)
        .with("npm", &found.npm)
        .with("settings", &found.settings)
        .with("static", &found.statics))
}

/// The manifest of a build that is there as a whole.
fn whole(site: &Site, build: &str) -> Result<Manifest> {
    let name = site.resolve(super::reference(build)?)?;
    let manifest = site.manifest(name)?.filter(|manifest| manifest.state != Progress::Creating);
    Ok(manifest.ok_or(Refusal::Incomplete(name))?)
}

fn commits(site: &Site, from: &Manifest, to: &Manifest) -> std::result::Result<[Vec<Entry>; 2], String> {
    let of = |made: &Manifest| made.source.commit.clone().ok_or_else(|| format!("{} is of no commit", made.name));
    let (one, other) = (of(from)?, of(to)?);
    let source = &site.config.site.source;
    let between = |one: &str, other: &str| git::between(source, one, other).map_err(|error| error.to_string());
    Ok([between(&one, &other)?, between(&other, &one)?])
}

impl Differences {
    fn text(&self, verbose: bool) -> String {
        let Self { from, to, .. } = self;
        let mut text = String::new();
        match &self.commits {
            Err(why) => section(&mut text, &format!("commits: unknown, as {why}"), std::iter::empty()),
            Ok([added, removed]) => {
                let head = format!("commits: {} only in {to}, {} only in {from}", added.len(), removed.len());
                let line = |sign: char| move |entry: &Entry| format!("{sign} {:.12} {}", entry.commit, entry.subject);
                section(&mut text, &head, added.iter().map(line('+')).chain(removed.iter().map(line('-'))));
            }
        }
        for (kind, changes) in [("Python", &self.python), ("npm", &self.npm)] {
            section(&mut text, &counted(changes.len(), &format!("{kind} package")), changes.iter().map(Change::line));
        }
        section(&mut text, &counted(self.settings.len(), "settings file"), self.settings.iter().map(Difference::line));
        let statics = Counts::of(&self.statics);
        let head =
            format!("static files: {} added, {} changed, {} removed", statics.added, statics.edited, statics.removed);
        section(&mut text, &head, self.statics.iter().filter(|_| verbose).map(Difference::line));
        text
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("{what}s: 1 differs"),
        count => format!("{what}s: {count} differ"),
    }
}

fn section(text: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    writeln!(text, "{head}").unwrap_or_default();
    for line in lines {
        // What stands in a commit or a file's name must not move the cursor of a terminal.
        writeln!(text, "  {}", line.replace(char::is_control, "?")).unwrap_or_default();
    }
}

impl Difference {
    fn line(&self) -> String {
        let sign = match self.fate {
            Fate::Added => '+',
            Fate::Removed => '-',
            Fate::Edited | Fate::Mode => '~',
        };
        format!("{sign} {}", self.path)
    }
}
