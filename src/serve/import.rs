//! Why an application does not load, asked of the build's own Python.

use crate::model::environment;
use crate::model::manifest::Manifest;
use crate::site::Site;
use crate::system::process::{Outcome, Run};

const IMPORT: &str = "import sys; __import__(sys.argv[1])";

/// The traceback of importing the application's module; `None` where that works, or does not end in time.
///
/// uWSGI's log cannot be relied on: its workers write at once, the one that fails first has the others interrupted, and
/// the master may end before it has passed on what they said.
pub fn traceback(site: &Site, manifest: &Manifest) -> Option<String> {
    let paths = site.layout.build(manifest.name);
    let module = site.config.uwsgi.module.as_ref().or(manifest.module.as_ref())?;
    let import = Run::new(paths.python())
        .args(["-c", IMPORT, module.split(':').next()?])
        .directory(paths.dir())
        .variables(environment::variables(&site.config, &site.layout, manifest.name, &manifest.tag))
        .patience(site.config.uwsgi.start_timeout);
    let error = import.output().err()?;
    // Only inside uWSGI there is a module of this name: an application that wants it fails here for another reason.
    let elsewhere = error.tail.ends_with("No module named 'uwsgi'");
    (matches!(error.outcome, Outcome::Failed(_)) && !elsewhere).then_some(error.tail)
}
