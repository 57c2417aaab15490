//! The steps of a create, and what each of them waits for.

pub mod ahead;
mod assets;
mod bytecode;
pub mod conf;
mod course;
mod graph;
mod links;
mod making;
pub mod migrations;
pub mod node;
pub mod overlay;
mod places;
mod python;
pub mod record;
mod size;
pub mod source;
mod spare;
mod stamp;
mod store;

use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::model::environment;
use crate::model::manifest::{LISTEN, Manifest, Progress};
use crate::model::migrations::Answer;
use crate::model::name::BuildName;
use crate::model::tag::Tag;
use crate::model::wish::Wish;
use crate::serve::vassal;
use crate::site::Site;
use crate::system::process::Run;
pub use course::Course;
use graph::Node;
use making::Making;
pub use store::unused;

/// What a step did, for the line that an operator reads. `None` where there was nothing to do.
type Note = Option<String>;

/// A step's work, which has a log for what its programs say.
struct Work {
    /// Whether a continued create does it again, because what it reads may have changed since.
    always: bool,
    act: fn(&Making, log: &Path) -> Result<Note>,
}

/// The name of the step that only a deploy asks for.
const DATABASE: &str = "database";

/// The graph: every step, what must be done before it, and its work.
const STEPS: [Node<Work>; 10] = [
    again("source", &[], source::run),
    again("overlay", &["source"], overlay::run),
    once("stamp", &["overlay"], stamp::run),
    once("python", &["stamp"], python::run),
    once("bytecode", &["stamp"], bytecode::run),
    once("node", &["stamp"], node::run),
    again("links", &["stamp"], links::run),
    again("conf", &["stamp"], conf::run),
    // Python would write bytecode of its own for what has none yet.
    once("assets", &["python", "bytecode", "node", "links"], assets::run),
    // Beside the assets: the site takes its time to load, here as there.
    again(DATABASE, &["python", "bytecode", "links"], migrations::run),
];

const fn again(
    name: &'static str,
    after: &'static [&'static str],
    act: fn(&Making, &Path) -> Result<Note>,
) -> Node<Work> {
    Node { name, after, work: Work { always: true, act } }
}

const fn once(
    name: &'static str,
    after: &'static [&'static str],
    act: fn(&Making, &Path) -> Result<Note>,
) -> Node<Work> {
    Node { name, after, work: Work { always: false, act } }
}

/// Makes a build, or continues making it, until it listens. What its databases lack is put into `lacks`, where that is given
/// and can be told by then.
///
/// # Errors
/// A step failed. The build stays incomplete; neither the emperor nor nginx sees it.
pub fn make(
    site: &Site,
    name: BuildName,
    wish: &Wish,
    course: &Course,
    lacks: Option<&OnceLock<Answer>>,
) -> Result<Manifest> {
    let making = Making { lacks, ..Making::begin(site, name, wish, course)? };
    let failed = |step| move |source| Error::Step { step, name, source: Box::new(source) };
    let wanted = |node: &&Node<Work>| node.name != DATABASE || lacks.is_some();
    graph::run(STEPS.iter().filter(wanted), |node| making.take(node).map_err(failed(node.name)))
        .inspect_err(|_| making.keep())?;
    listen(site, making.finish().map_err(failed(LISTEN))?, course).map_err(failed(LISTEN))
}

/// Removes what no build has from what builds share, and what creates of this one have left half made.
pub fn tidy(site: &Site, name: BuildName) {
    if let Err(error) = store::forget(site, &name.to_string()).and_then(|()| store::tidy(site)) {
        tracing::warn!("{}: {}; the next create or rm tries again", error.what(), error.cause());
    }
}

/// Lets the emperor see a complete build, as the very last thing of its create.
///
/// # Errors
/// The vassal does not come up. The build is incomplete again.
pub fn listen(site: &Site, mut manifest: Manifest, course: &Course) -> Result<Manifest> {
    let port = site.port(manifest.name)?;
    let start = || vassal::start(site, manifest.name).map(|_| Some(format!("on 127.0.0.1:{port}")));
    let listens = course.follow(LISTEN, start);
    if listens.is_err() {
        manifest.state = Progress::Creating;
        site.write_manifest(&manifest)?;
    }
    let record = listens?;
    // Where only this was left to do, most was done before.
    manifest.seconds = manifest.seconds.map(|before| before.max(course.elapsed().as_secs_f64()));
    manifest.steps.push(record);
    // Without the record another create of this name would only find that it listens.
    site.write_manifest(&manifest).ok();
    Ok(manifest)
}

/// A program that may take as long as the operator grants a step.
pub fn limited(site: &Site, run: Run) -> Run {
    run.limit("site.step_timeout", site.config.site.step_timeout)
}

/// A program, prepared to run in a build's directory with its environment: its own programs come first.
pub fn in_build(site: &Site, name: BuildName, tag: &Tag, argv: &[String]) -> Run {
    let paths = site.layout.build(name);
    let node = paths.dir().join(&site.config.node.package_dir).join("node_modules/.bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [paths.dir().join("bin"), node].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path).unwrap_or_default();
    limited(site, Run::list(argv))
        .directory(paths.dir())
        .variables(environment::variables(&site.config, &site.layout, name, tag))
        .variables([("PATH", path)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_comes_after_those_that_it_waits_for() {
        for (number, step) in STEPS.iter().enumerate() {
            let earlier: Vec<&str> = STEPS[..number].iter().map(|step| step.name).collect();
            assert!(step.after.iter().all(|name| earlier.contains(name)), "{}", step.name);
        }
    }
}
