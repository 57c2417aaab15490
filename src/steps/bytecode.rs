//! Bytecode for all modules before the first worker imports one, so that it starts as fast as the tenth.

use std::path::Path;

use super::{Making, Note, store};
use crate::error::Result;
use crate::model::layout::BuildPaths;
use crate::model::manifest::{Manifest, Progress};
use crate::system::process::Run;

/// Compiles what has no bytecode of its source yet, or takes it from an earlier build.
const COMPILE: &str = include_str!("bytecode.py");

/// What other steps put into a build meanwhile.
const OTHERS: [&str; 5] = ["assets", "bin", "include", "run", "share"];

/// Compiles the modules of the source and the overlay.
pub fn run(making: &Making, log: &Path) -> Result<Note> {
    let earlier = if making.fresh { None } else { latest(making)? };
    let paths = earlier.as_ref().map(|made| making.site.layout.build(made.name));
    compile(making, making.paths.dir(), paths.as_ref().map(BuildPaths::dir), log)?;
    Ok(Some(match earlier {
        Some(made) => format!("compiled, but for what {} has", made.name),
        None => "compiled".into(),
    }))
}

/// Compiles the modules below a directory; `earlier` is where an earlier build has them.
///
/// # Errors
/// Python fails. A module with errors is left out.
pub fn compile(making: &Making, directory: &Path, earlier: Option<&Path>, log: &Path) -> Result<()> {
    let compile = Run::new(&making.site.config.python.interpreter).args(["-I", "-S", "-c", COMPILE]).arg(directory);
    let others = if directory == making.paths.dir() { &OTHERS[..] } else { &[] };
    making.tool(compile.arg(earlier.unwrap_or(Path::new(""))).args(others), log)
}

/// The youngest complete build.
fn latest(making: &Making) -> Result<Option<Manifest>> {
    let made = store::manifests(making.site)?;
    Ok(made.into_iter().filter(|made| made.state == Progress::Complete).max_by_key(|made| made.created))
}
