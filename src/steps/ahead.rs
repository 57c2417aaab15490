//! Packages are installed when they are fetched: that shows that nothing is missing, and the next create finds them ready.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::graph::{self, Node};
use super::making::Making;
use super::places::refuse_ways_out;
use super::{Course, Note, node, python, store};
use crate::error::{Error, Result};
use crate::model::manifest::{Manifest, Origin};
use crate::model::name::BuildName;
use crate::site::Site;
use crate::system::files;

/// Whose work in the store it is.
const MAKER: &str = "wheels";

type Act = fn(&Making, &Path) -> Result<Note>;

/// Both steps, as in a create.
const STEPS: [Node<Act>; 2] =
    [Node { name: "python", after: &[], work: python::run }, Node { name: "node", after: &[], work: node::run }];

/// Installs the packages that builds of the source in [`Layout::fetching`](crate::model::layout::Layout::fetching) will
/// have, without a network, and returns whether it had to. What cannot be shared by builds is left to them.
///
/// # Errors
/// Something was not fetched, or the disk refuses.
pub fn install(site: &Site) -> Result<bool> {
    let course = Course::begin();
    let paths = site.layout.fetching();
    // None of the two steps asks for the name of the build.
    let manifest = Manifest::begin(BuildName::FIRST, files::now(), Origin::default());
    let making = Making {
        site,
        name: manifest.name,
        maker: MAKER.into(),
        ahead: true,
        course: &course,
        paths,
        manifest: Mutex::new(manifest),
        tagged: false,
        before: Vec::new(),
        changed: AtomicBool::new(true),
        fresh: false,
        lacks: None,
        pending: Mutex::default(),
        recorded: Mutex::default(),
        files: Mutex::default(),
        shared: AtomicU64::new(0),
        sizes: Mutex::default(),
    };
    store::forget(site, MAKER)?;
    refuse_ways_out(&making)?;
    let log = site.layout.wheels_log();
    let installed = graph::run(&STEPS, |node| {
        making.course.follow(node.name, || files::together(|| (node.work)(&making, &log))).map(drop)
    });
    let done = installed.and_then(|()| files::sync_all(making.paths.dir()));
    let new = done.is_ok() && !making.pending().is_empty();
    if done.is_ok() {
        making.publish();
    }
    store::forget(site, MAKER)?;
    done.map(|()| new).map_err(|error| Error::Unmet {
        problem: "what was fetched cannot be installed".into(),
        cause: format!("{}: {}", error.what(), error.cause()),
        next: format!("look into {}: a create would fail in the same way", log.display()),
    })
}
