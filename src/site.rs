//! One site: its configuration, its places, and what is there at the moment.

mod canary;
mod freeze;
mod history;
mod hooks;
mod locks;
mod notify;
mod observe;

pub use history::Deed;

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::error::{Error, LinkFault, Result};
use crate::model::config::{self, Config};
use crate::model::layout::{Layout, Role};
use crate::model::manifest::{Manifest, Progress};
use crate::model::name::{BuildName, BuildRef};
use crate::model::observed::Names;
use crate::model::port::Port;
use crate::model::rules::Refusal;
use crate::model::skeletons;
use crate::model::slot::Slot;
use crate::system::exchange;
use crate::system::files::{self, Mode};
use crate::system::lock::Lock;

/// The name of a site's configuration file.
pub const CONFIG: &str = "builds.toml";

/// How often the two links are read again that something changes while they are read.
const READINGS: usize = 20;

/// A site as a command sees it.
#[derive(Debug)]
pub struct Site {
    /// What `builds.toml` says.
    pub config: Config,
    /// Where everything lies.
    pub layout: Layout,
    /// Where `builds.toml` is.
    pub file: PathBuf,
    /// A digest of `builds.toml`.
    pub fingerprint: u64,
    /// How long this command may still wait for locks that others hold. All its waits count together: who waits for
    /// a role's build may find the role moved, and then waits for the next one.
    patience: Mutex<Duration>,
    /// How many deeds are under way, one within another.
    deeds: AtomicUsize,
}

impl Site {
    /// Reads the configuration: `file`, or the next `builds.toml` from the working directory upwards. The command waits no
    /// longer than `patience` for locks.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open(file: Option<&Path>, patience: Duration) -> Result<Self> {
        let file = match file {
            Some(file) => std::path::absolute(file).map_err(Error::io("find", file))?,
            None => find_config(&working_directory()?)?,
        };
        let text = fs::read_to_string(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoSuchConfig(file.clone()),
            io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory => Error::NotText(file.clone()),
            _ => Error::io("read", &file)(error),
        })?;
        let config = config::parse(&text, &file)?;
        let layout = Layout::new(&config.site.root);
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Ok(Self {
            config,
            layout,
            file,
            fingerprint: hasher.finish(),
            patience: patience.into(),
            deeds: AtomicUsize::new(0),
        })
    }

    /// The port of a build.
    ///
    /// # Errors
    /// It would lie above 65535.
    pub fn port(&self, name: BuildName) -> Result<Port> {
        Port::of(name, self.config.site.base_port).ok_or_else(|| Refusal::NoPort(name).into())
    }

    /// The port that a build listens on, or will: what its `build.ini` says, which may be older than `builds.toml`.
    ///
    /// # Errors
    /// It would lie above 65535, or the file cannot be read.
    pub fn own_port(&self, name: BuildName) -> Result<u16> {
        let ini = files::read(&self.layout.build(name).build_ini())?;
        ini.as_deref().and_then(skeletons::port_in).map_or_else(|| Ok(self.port(name)?.number()), Ok)
    }

    /// Checks that a build that has a vassal listens where `builds.toml` says.
    ///
    /// # Errors
    /// The base port was changed since.
    pub fn check_port(&self, name: BuildName) -> Result<()> {
        let (own, wanted) = (self.own_port(name)?, self.port(name)?.number());
        if own == wanted { Ok(()) } else { Err(Refusal::OtherPort { name, own, wanted }.into()) }
    }

    /// What the two links say, each checked to name a complete build of this site. Links are read, never followed.
    ///
    /// # Errors
    /// A link is something else, or leads elsewhere.
    pub fn names(&self) -> Result<Names> {
        let mut names = self.read_names();
        // Two links cannot be read at one instant. What a swap moves in between is read again; what is wrong stays so.
        for _ in 0..READINGS {
            let again = self.read_names();
            let settled = matches!((&names, &again), (Ok(one), Ok(other)) if one == other);
            names = again;
            if settled {
                break;
            }
        }
        names
    }

    fn read_names(&self) -> Result<Names> {
        let names = Names { live: self.holder(Role::Live)?, stage: self.holder(Role::Stage)? };
        match names {
            Names { live: Some(live), stage } if stage == Some(live) => {
                Err(Error::BadLink { link: self.layout.link(Role::Stage), fault: LinkFault::Same(live) })
            }
            names => Ok(names),
        }
    }

    /// What the two links say, for commands that only look: a bad link is reported, and nobody has its role.
    pub fn names_or_warning(&self) -> Names {
        self.names().unwrap_or_else(|error| {
            tracing::warn!("{}: {}; {}", error.what(), error.cause(), error.next());
            Names::default()
        })
    }

    fn holder(&self, role: Role) -> Result<Option<BuildName>> {
        let link = self.layout.link(role);
        let bad = |fault| Error::BadLink { link: link.clone(), fault };
        let target = match exchange::target(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(bad(LinkFault::NotALink)),
            Err(error) => return Err(Error::io("read the link", &link)(error)),
        };
        let name: Option<BuildName> = target.to_str().and_then(|text| text.parse().ok());
        let name = name.ok_or_else(|| bad(LinkFault::Foreign(target)))?;
        match self.manifest(name) {
            Ok(Some(manifest)) if manifest.state != Progress::Creating => Ok(Some(name)),
            _ if self.is_build(name) => Err(bad(LinkFault::Incomplete(name))),
            _ => Err(bad(LinkFault::Dangling(name))),
        }
    }

    /// The build that a user means.
    ///
    /// # Errors
    /// The role has no holder, there is no such build, or a directory of that name that is not ours.
    pub fn resolve(&self, reference: BuildRef) -> Result<BuildName> {
        let (name, role) = match reference {
            BuildRef::Name(name) => (Some(name), Role::Live),
            BuildRef::Live => (self.names()?.live, Role::Live),
            BuildRef::Stage => (self.names()?.stage, Role::Stage),
        };
        let name = name.ok_or(Refusal::NoHolder(role))?;
        if !self.is_build(name) {
            return Err(self.missing(name));
        }
        self.check_ours(name).map(|()| name)
    }

    /// That there is no such build, and what was probably meant.
    pub fn missing(&self, name: BuildName) -> Error {
        Refusal::Missing { name, nearest: name.nearest(self.builds().unwrap_or_default()) }.into()
    }

    /// Whether there is a directory of this name. A link in its place is no build: what it leads to is not ours.
    pub fn is_build(&self, name: BuildName) -> bool {
        fs::symlink_metadata(self.layout.build(name).dir()).is_ok_and(|data| data.is_dir())
    }

    /// Checks that a directory, if there is one, is ours: made by a create, or empty as one that was killed leaves it.
    ///
    /// # Errors
    /// It holds other files.
    pub fn check_ours(&self, name: BuildName) -> Result<()> {
        let directory = self.layout.build(name).dir().to_owned();
        let own =
            |entry: fs::DirEntry| entry.file_name() == "run" || entry.file_name().to_string_lossy().starts_with('.');
        let foreign = || fs::read_dir(&directory).is_ok_and(|mut entries| entries.any(|entry| !entry.is_ok_and(own)));
        let in_place = files::exists(&directory);
        if in_place && (!self.is_build(name) || (!files::exists(&self.layout.build(name).manifest()) && foreign())) {
            return Err(Refusal::Foreign(name).into());
        }
        let run = self.layout.build(name).run();
        if fs::symlink_metadata(&run).is_ok_and(|data| !data.is_dir()) {
            return Err(Error::Unmet {
                problem: format!("{} is no directory", run.display()),
                cause: "the build's sockets and its environment would lie elsewhere".into(),
                next: format!("rm {0}, then mkdir -m 750 {0}", run.display()),
            });
        }
        Ok(())
    }

    /// The build that a user means, locked, so that it stays what it is until the lock is dropped.
    ///
    /// # Errors
    /// As [`Self::resolve`] and [`Self::lock_build`].
    pub fn claim(&self, reference: BuildRef) -> Result<(BuildName, Lock)> {
        loop {
            let name = self.resolve(reference)?;
            let lock = self.lock_build(name)?;
            // A swap may have moved the role, or an rm the build, while the lock was awaited.
            if self.resolve(reference)? == name {
                return Ok((name, lock));
            }
        }
    }

    /// All builds, complete or not, in order. Foreign files in `builds/` are no builds.
    ///
    /// # Errors
    /// `builds/` is there and cannot be read.
    pub fn builds(&self) -> Result<BTreeSet<BuildName>> {
        let entries = entries(&self.layout.builds())?;
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(directories.filter_map(|entry| name_of(&entry)).collect())
    }

    /// The first name that nothing uses: no directory, complete or not, no file, no link and no static files.
    ///
    /// # Errors
    /// `builds/` cannot be read, or every name with a port is taken.
    pub fn find_free(&self) -> Result<BuildName> {
        let taken: BTreeSet<BuildName> = entries(&self.layout.builds())?.filter_map(|entry| name_of(&entry)).collect();
        let mut number = 0;
        loop {
            let name = BuildName::from_number(number);
            self.port(name)?;
            // Few names have static files and no build, so that these are not worth a list of their own.
            if !taken.contains(&name) && !files::exists(&self.layout.static_of(name)) {
                return Ok(name);
            }
            number += 1;
        }
    }

    /// Takes the first free name, which only one of all that want it can. A create goes on from there as from one that was
    /// killed at once.
    ///
    /// # Errors
    /// As [`Self::find_free`] and [`Self::take`].
    pub fn reserve(&self) -> Result<BuildName> {
        loop {
            let name = self.find_free()?;
            if self.take(name)? {
                return Ok(name);
            }
        }
    }

    /// Takes a name by making its directory, unless somebody has it; whether nobody had.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn take(&self, name: BuildName) -> Result<bool> {
        files::directory(&self.layout.builds())?;
        let directory = self.layout.build(name).dir().to_owned();
        match fs::create_dir(&directory) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io("make the directory", &directory)(error)),
        }
    }

    /// A build's manifest; `None` where it has none, or none that can be read, or that of the build that was copied.
    ///
    /// # Errors
    /// It is there and the disk refuses it.
    pub fn manifest(&self, name: BuildName) -> Result<Option<Manifest>> {
        if !self.is_build(name) {
            return Ok(None);
        }
        let path = self.layout.build(name).manifest();
        let manifest: Option<Manifest> = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        Ok(manifest.filter(|manifest| manifest.name == name))
    }

    /// Writes a build's manifest.
    ///
    /// # Errors
    /// The old one stays.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let path = self.layout.build(manifest.name).manifest();
        let mut text =
            serde_json::to_vec_pretty(manifest).map_err(io::Error::from).map_err(Error::io("write", &path))?;
        text.push(b'\n');
        files::write(&path, &text, Mode::Public)
    }

    /// The slot of a build to which its requests go.
    pub fn slot(&self, name: BuildName) -> Slot {
        Slot::of_link(fs::read_link(self.layout.build(name).web_socket()).ok().as_deref())
    }
}

/// The working directory.
///
/// # Errors
/// It is gone or closed to this user.
pub fn working_directory() -> Result<PathBuf> {
    std::env::current_dir().map_err(Error::io("find the working directory", Path::new(".")))
}

fn find_config(from: &Path) -> Result<PathBuf> {
    from.ancestors()
        .map(|directory| directory.join(CONFIG))
        .find(|file| file.is_file())
        .ok_or_else(|| Error::NoConfig(from.to_owned()))
}

/// The entries of a directory; none where there is no directory.
fn entries(directory: &Path) -> Result<impl Iterator<Item = fs::DirEntry> + use<>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io("read", directory)(error)),
    };
    Ok(entries.into_iter().flatten().flatten())
}

/// The build name that an entry has, if it is one.
fn name_of(entry: &fs::DirEntry) -> Option<BuildName> {
    entry.file_name().to_str()?.parse().ok()
}
