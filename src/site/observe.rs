//! What there is of builds. uWSGI is asked first and heard later, so that many builds answer at the same time.

use std::path::PathBuf;

use super::Site;
use crate::error::Result;
use crate::model::name::BuildName;
use crate::model::observed::Build;
use crate::serve::stats::Question;
use crate::system::files;

/// How many builds are asked before the first is heard: each takes two of the files that a process may have open, often
/// 1024.
const AT_ONCE: usize = 100;

/// A build whose vassal and zerg have been asked.
struct Asked {
    build: Build,
    vassal: Option<Question>,
    zerg: Option<Question>,
}

impl Site {
    /// What there is of a build.
    ///
    /// # Errors
    /// Its manifest cannot be read, or this user may not ask uWSGI.
    pub fn observe(&self, name: BuildName) -> Result<Build> {
        Ok(self.ask(name)?.hear())
    }

    /// What there is of all builds, in order.
    ///
    /// # Errors
    /// `builds/`, or the manifest of a build, cannot be read, or this user may not ask uWSGI.
    pub fn observe_all(&self) -> Result<Vec<Build>> {
        let names: Vec<BuildName> = self.builds()?.into_iter().collect();
        let mut builds = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            let asked = some.iter().map(|&name| self.ask(name)).collect::<Result<Vec<_>>>()?;
            builds.extend(asked.into_iter().map(Asked::hear));
        }
        Ok(builds)
    }

    fn ask(&self, name: BuildName) -> Result<Asked> {
        let paths = self.layout.build(name);
        let vassal_link = files::exists(&paths.vassal_ini());
        let workers = paths.slot(self.slot(name));
        let zerg_link = files::exists(&workers.ini());
        let build = Build {
            name,
            manifest: self.manifest(name)?,
            vassal_link,
            zerg_link,
            draining: zerg_link && files::exists(&workers.draining()),
            listening: false,
            workers: None,
        };
        let ask = |socket: PathBuf| Question::at(&socket).permitted(name);
        let vassal = vassal_link.then(|| ask(paths.vassal_stats())).transpose()?;
        let zerg = zerg_link.then(|| ask(workers.stats())).transpose()?;
        Ok(Asked { build, vassal, zerg })
    }
}

impl Asked {
    fn hear(self) -> Build {
        Build {
            listening: self.vassal.is_some_and(Question::answered),
            workers: self.zerg.and_then(|zerg| zerg.workers().ok()),
            ..self.build
        }
    }
}
