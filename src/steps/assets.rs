//! The commands that make static files: collectstatic and others.

use super::{Making, Note, in_build};
use crate::error::Result;

pub fn run(making: &mut Making) -> Result<Note> {
    let commands = commands(making);
    for command in &commands {
        let (name, tag) = (making.manifest.name, &making.manifest.tag);
        in_build(making.site, name, tag, command).logged(&making.log)?;
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
