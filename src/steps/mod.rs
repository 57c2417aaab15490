//! The steps of a create, in the order in which they run.

mod assets;
pub mod conf;
mod links;
pub mod node;
mod overlay;
mod python;
pub mod source;
mod stamp;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::model::environment;
use crate::model::layout::BuildPaths;
use crate::model::manifest::{LISTEN, Manifest, Origin, Progress, StepRecord};
use crate::model::name::BuildName;
use crate::model::tag::Tag;
use crate::serve::vassal;
use crate::site::Site;
use crate::system::process::Run;
use crate::system::tree::Selection;
use crate::system::{files, tree};

/// A build that is being made.
pub struct Making<'a> {
    site: &'a Site,
    paths: BuildPaths,
    /// Where the output of the steps' commands goes.
    log: PathBuf,
    manifest: Manifest,
    /// Whether the tag was given, and so is not git's to say.
    tagged: bool,
    /// Whether the files differ from those that the recorded steps worked on.
    changed: bool,
}

/// What an operator asks of a create.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The tag; by default what git calls the source.
    pub tag: Option<Tag>,
    /// The commit to take; by default the files as they are.
    pub reference: Option<String>,
}

/// What a step did, for the line that an operator reads. `None` where there was nothing to do.
type Note = Option<String>;

struct Step {
    name: &'static str,
    /// Whether a continued create runs it again, because its source may have changed since.
    always: bool,
    work: fn(&mut Making) -> Result<Note>,
}

const STEPS: [Step; 8] = [
    Step { name: "source", always: true, work: source::run },
    Step { name: "overlay", always: true, work: overlay::run },
    Step { name: "stamp", always: false, work: stamp::run },
    Step { name: "python", always: false, work: python::run },
    Step { name: "node", always: false, work: node::run },
    Step { name: "links", always: true, work: links::run },
    Step { name: "assets", always: false, work: assets::run },
    Step { name: "conf", always: true, work: conf::run },
];

/// Makes a build, or continues making it, until it listens.
///
/// # Errors
/// A step failed. The build stays incomplete; neither the emperor nor nginx sees it.
pub fn make(site: &Site, name: BuildName, wish: &Wish) -> Result<Manifest> {
    let mut making = Making::begin(site, name, wish)?;
    for step in &STEPS {
        making.take(step).map_err(|source| Error::Step { step: step.name, name, source: Box::new(source) })?;
    }
    let in_last = |source| Error::Step { step: LISTEN, name, source: Box::new(source) };
    listen(site, making.finish().map_err(in_last)?).map_err(in_last)
}

impl<'a> Making<'a> {
    /// Reserves the directory, or takes up the one that an interrupted create left.
    fn begin(site: &'a Site, name: BuildName, wish: &Wish) -> Result<Self> {
        let paths = site.layout.build(name);
        let origin = Origin {
            path: site.config.site.source.to_string_lossy().into_owned(),
            commit: None,
            reference: wish.reference.clone(),
        };
        let mut manifest = Manifest::begin(name, files::now(), origin);
        manifest.inputs = site.fingerprint;
        let mut changed = true;
        match site.manifest(name)? {
            // What one commit left is no ground for another.
            Some(old) if old.source.reference.is_some() || wish.reference.is_some() => tree::remove_all(paths.dir())?,
            Some(old) => {
                changed = old.inputs != manifest.inputs || wish.tag.as_ref().is_some_and(|tag| *tag != old.tag);
                let steps = if changed { Vec::new() } else { old.steps };
                manifest = Manifest { source: manifest.source, inputs: manifest.inputs, steps, ..old };
            }
            None => {}
        }
        if let Some(tag) = &wish.tag {
            manifest.tag = tag.clone();
        }
        files::directory(paths.dir())?;
        files::private_directory(&site.layout.logs(), 0o750)?;
        files::private_directory(&paths.run(), 0o750)?;
        site.write_manifest(&manifest)?;
        Ok(Self { site, log: site.layout.create_log(name), paths, manifest, tagged: wish.tag.is_some(), changed })
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        let done = self.manifest.steps.iter().any(|record| record.name == step.name);
        if done && !step.always && !self.changed {
            tracing::info!("{:<8} done before", step.name);
            return Ok(());
        }
        let began = Instant::now();
        let later = self.forget_from(step)?;
        let note = (step.work)(self)?;
        let seconds = began.elapsed().as_secs_f64();
        self.manifest.steps.push(StepRecord { name: step.name.into(), seconds });
        if !self.changed {
            self.manifest.steps.extend(later);
        }
        self.site.write_manifest(&self.manifest)?;
        if let Some(note) = note {
            tracing::info!("{:<8} {note} ({seconds:.2} s)", step.name);
        }
        Ok(())
    }

    /// Takes the records of a step and of all after it out of the manifest, and returns those after it. Only the end of
    /// the step tells whether they still hold, so a kill or a failure on the way must not leave them there.
    fn forget_from(&mut self, step: &Step) -> Result<Vec<StepRecord>> {
        let earlier: Vec<&str> = STEPS.iter().map(|step| step.name).take_while(|&name| name != step.name).collect();
        let records = std::mem::take(&mut self.manifest.steps).into_iter();
        let (earlier, rest): (Vec<_>, Vec<_>) = records.partition(|record| earlier.contains(&record.name.as_str()));
        self.manifest.steps = earlier;
        if !rest.is_empty() {
            self.site.write_manifest(&self.manifest)?;
        }
        Ok(rest.into_iter().filter(|record| record.name != step.name).collect())
    }

    /// Declares the build complete.
    fn finish(mut self) -> Result<Manifest> {
        let name = self.manifest.name;
        self.manifest.bytes = fs_extra::dir::get_size(self.paths.dir()).ok();
        self.manifest.static_bytes = fs_extra::dir::get_size(self.site.layout.static_of(name)).ok();
        // Complete must mean complete after a power cut, too. Static files may lie on another file system.
        files::sync_all(self.paths.dir())?;
        files::sync_all(&self.site.layout.static_of(name))?;
        self.manifest.state = Progress::Complete;
        self.manifest.finished = Some(files::now());
        self.site.write_manifest(&self.manifest)?;
        Ok(self.manifest)
    }

    /// Runs a program of the host in the build's directory, without the build's environment.
    fn tool(&self, run: Run) -> Result<()> {
        Ok(limited(self.site, run).directory(self.paths.dir()).logged(&self.log)?)
    }
}

/// Lets the emperor see a complete build, as the very last thing of its create.
///
/// # Errors
/// The vassal does not come up. The build is incomplete again.
pub fn listen(site: &Site, mut manifest: Manifest) -> Result<Manifest> {
    let began = Instant::now();
    if let Err(error) = vassal::start(site, manifest.name) {
        manifest.state = Progress::Creating;
        site.write_manifest(&manifest)?;
        return Err(error);
    }
    manifest.steps.push(StepRecord { name: LISTEN.into(), seconds: began.elapsed().as_secs_f64() });
    // Without the record another create of this name would only find that it listens.
    site.write_manifest(&manifest).ok();
    tracing::info!("{LISTEN:<8} on 127.0.0.1:{}", site.port(manifest.name)?);
    Ok(manifest)
}

/// Places in a build that uWSGI, nginx and `builds` act on, whatever lies there.
const OWN: [&str; 10] = [
    "assets/media",
    "assets/static",
    "build.ini",
    "build.json",
    "live.conf",
    "run",
    "stage.conf",
    "vassal.ini",
    "zerg-2.ini",
    "zerg.ini",
];

/// Where Python's, npm's and the own steps write below the directory of a build.
const WRITTEN: [&str; 6] = ["assets", "bin", "include", "lib", "pyvenv.cfg", "share"];

/// Checks, before anything is copied, that nothing will take a place that is the build's own: a `vassal.ini` among
/// the files would start half a build.
fn refuse_own_names(selection: &Selection, origin: &str) -> Result<()> {
    match OWN.iter().find(|name| selection.contains(Path::new(name))) {
        None => Ok(()),
        Some(name) => Err(Error::Unmet {
            problem: format!("the {origin} has {name} of its own"),
            cause: "a build needs the name".into(),
            next: format!("move it to another place in the {origin}"),
        }),
    }
}

/// Checks that no link that came with the files leads out of the build where a later step writes.
///
/// # Errors
/// One does.
fn refuse_ways_out(making: &Making) -> Result<()> {
    let dir = making.paths.dir();
    let real = fs::canonicalize(dir).map_err(Error::io("find", dir))?;
    let node = making.site.config.node.package_dir.join("node_modules");
    let written =
        WRITTEN.map(PathBuf::from).into_iter().chain([node]).map(|name| dir.join(name).components().collect());
    let leads_out =
        |path: &PathBuf| files::exists(path) && !fs::canonicalize(path).is_ok_and(|target| target.starts_with(&real));
    match written.into_iter().find(leads_out) {
        None => Ok(()),
        Some(path) => Err(Error::Unmet {
            problem: format!("{} is a link that leads out of the build", path.display()),
            cause: "what a create writes there would change files that are not the build's".into(),
            next: "give the link another name in the source, or the overlay".into(),
        }),
    }
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
