//! The commands that make static files: collectstatic and others. With `assets.reuse`, what they made for an earlier
//! build of the same files.

mod made;
mod reuse;

use std::path::{Path, PathBuf};
use std::thread;

use super::store::{self, Entry, Record, Store};
use super::{Making, Note};
use crate::error::Result;
use crate::system::process::{CommandError, Run};
use crate::system::{files, tree};
use made::Before;

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    let commands = commands(making);
    let Some(first) = commands.first() else { return empty(making).map(|()| None) };
    let what = match commands.len() {
        1 => first.join(" "),
        several => format!("{several} commands"),
    };
    if !making.site.config.assets.reuse {
        empty(making)?;
        run_all(making, &commands, |command| command.logged(log))?;
        return Ok(Some(what));
    }
    let inputs = match reuse::inputs(making, &commands)? {
        Ok(inputs) => inputs,
        Err(why) => return make(making, &commands, log).map(|_| Some(format!("{what}; not for reuse, as {why}"))),
    };
    let store = Store::open(making.site, "assets")?;
    making.manifest().digests.insert("assets".into(), inputs.key());
    if let Some(entry) = making.reusable(|| store.find(&inputs.key()))
        && take(making, &store, &entry)?
    {
        return Ok(Some("static files, reused".into()));
    }
    let why = making.because(&store, &inputs)?;
    let made = match make(making, &commands, log)? {
        Ok(made) => made,
        Err(never) => return Ok(Some(format!("{what}, {why}; not for reuse, as {never}"))),
    };
    let directory = store.begin(&making.maker)?;
    let bytes = store.clone(&statics(making), &directory.join("static"), false)?.bytes;
    store::put(&made, making.paths.dir(), &directory.join("build"))?;
    making.pend(store.record(&making.maker, &Record { inputs, packages: Vec::new(), sealed: false, bytes })?);
    Ok(Some(format!("{what}, {why}")))
}

/// Runs the commands, and returns what they wrote into the build, or why another build must not have it.
fn make(making: &Making, commands: &[Vec<String>], log: &Path) -> Result<Result<Vec<PathBuf>, String>> {
    empty(making)?;
    let before = Before::of(making.paths.dir())?;
    let foreign = reuse::foreign();
    run_all(making, commands, |command| command.without(foreign.iter().cloned()).logged(log))?;
    let written = match before.written_since(making.paths.dir())? {
        Ok(written) => written,
        Err(why) => return Ok(Err(why)),
    };
    let own = reuse::own_names(making);
    let inside = made::naming(&statics(making), making.paths.dir(), &written, &own)?;
    Ok(match inside {
        Some(file) => Err(format!("{file} names the build")),
        None => Ok(written),
    })
}

/// Runs the commands. They mostly keep one processor busy, so that another is free for what makes the rest, and the next
/// build, come sooner.
fn run_all(making: &Making, commands: &[Vec<String>], run: impl Fn(Run) -> Result<(), CommandError>) -> Result<()> {
    thread::scope(|scope| {
        let prepared = scope.spawn(|| making.prepare());
        commands.iter().try_for_each(|command| run(making.command(command)))?;
        prepared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Puts what an entry has into the build; whether it is whole.
fn take(making: &Making, store: &Store, entry: &Entry) -> Result<bool> {
    let statics = statics(making);
    tree::remove_all(&statics)?;
    let Some(shared) = store.take(entry, "static", &statics)? else { return Ok(false) };
    making.count(shared);
    store::put_all(&entry.tree("build"), making.paths.dir())?;
    Ok(true)
}

/// Nobody sees them yet, and files of an earlier try or of a removed build of this name are not this build's.
fn empty(making: &Making) -> Result<()> {
    tree::remove_all(&statics(making))?;
    files::directory(&statics(making))
}

fn statics(making: &Making) -> PathBuf {
    making.site.layout.static_of(making.name)
}

/// Those of the configuration, or Django's collectstatic for a source with a `manage.py`.
fn commands(making: &Making) -> Vec<Vec<String>> {
    let usual = ["python", "manage.py", "collectstatic", "--noinput"].map(str::to_owned).to_vec();
    match &making.site.config.assets.commands {
        Some(commands) => commands.iter().map(|command| command.as_slice().to_vec()).collect(),
        None if making.paths.dir().join("manage.py").is_file() => vec![usual],
        None => Vec::new(),
    }
}
