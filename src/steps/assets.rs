//! The commands that make static files: collectstatic and others.

use std::path::Path;

use super::{Making, Note};
use crate::error::Result;
use crate::system::{files, tree};

pub fn run(making: &Making, log: &Path) -> Result<Note> {
    // Nobody sees them yet, and files of an earlier try or of a removed build of this name are not this build's.
    let statics = making.site.layout.static_of(making.name);
    tree::remove_all(&statics)?;
    files::directory(&statics)?;
    let commands = commands(making);
    for command in &commands {
        making.command(command).logged(log)?;
    }
    Ok(commands.first().map(|first| match commands.len() {
        1 => first.join(" "),
        several => format!("{several} commands"),
    }))
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
