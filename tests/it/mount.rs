//! A site whose root, or all of it, is a file system of its own.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::shell;
use crate::site::Site;

/// A site with a file system mounted in it, gone with it.
pub struct Mounted {
    site: Site,
    place: PathBuf,
    /// What the file system lies in.
    home: PathBuf,
}

impl Mounted {
    /// `make` gets a directory for its own and returns the arguments of `mount` without the place. `None`, with a message,
    /// where this user may not mount.
    pub fn new(make: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let site = Site::new("plain", "\n[uwsgi]\nworkers = 1\n");
        let root = site.root();
        Self::over(site, root, make)
    }

    /// A file system of a type that `mkfs` makes, in a file of so many MB.
    pub fn made(kind: &str, megabytes: u64) -> Option<Self> {
        Self::new(made(kind, megabytes))
    }

    /// The same over the whole directory of a site, so that its source is on it too.
    pub fn whole(site: Site, kind: &str, megabytes: u64) -> Option<Self> {
        let dir = site.dir.clone();
        Self::over(site, dir, made(kind, megabytes))
    }

    /// Mounts over a place of a site, which keeps what it has.
    fn over(site: Site, place: PathBuf, make: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let home = site.dir.with_extension("fs");
        drop(fs::remove_dir_all(&home));
        fs::create_dir_all(&home).unwrap();
        let kept = home.join("kept");
        shell(Command::new("cp").arg("-a").arg(&place).arg(&kept));
        let mounted = Self { site, place, home };
        let arguments = make(&mounted.home);
        let mount = Command::new("mount").args(&arguments).arg(&mounted.place).output().unwrap();
        if !mount.status.success() {
            let why = String::from_utf8_lossy(&mount.stderr);
            assert!(!nix::unistd::geteuid().is_root(), "mount {arguments:?}: {why}");
            eprintln!("skipped: this user may not mount: {why}");
            return None;
        }
        shell(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&mounted.place));
        Some(mounted)
    }

    /// A tmpfs with these options.
    pub fn tmpfs(options: &str) -> Option<Self> {
        Self::new(|_| ["-t", "tmpfs", "-o", options, "tmpfs"].map(str::to_owned).to_vec())
    }

    /// An overlay over an empty directory.
    pub fn overlay() -> Option<Self> {
        Self::new(|home| {
            let dirs = ["lower", "upper", "work"].map(|dir| {
                fs::create_dir(home.join(dir)).unwrap();
                format!("{dir}dir={}", home.join(dir).display())
            });
            ["-t", "overlay", "-o", &dirs.join(","), "overlay"].map(str::to_owned).to_vec()
        })
    }
}

/// Makes a file system in a file, and says how it is mounted.
fn made(kind: &str, megabytes: u64) -> impl FnOnce(&Path) -> Vec<String> {
    move |home| {
        let image = home.join("image");
        fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        shell(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
        ["-t", kind, "-o", "loop"].map(str::to_owned).into_iter().chain([image.display().to_string()]).collect()
    }
}

impl Deref for Mounted {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Mounted {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What runs there keeps it mounted, and is found by its place.
        self.site.kill();
        drop(Command::new("umount").arg("--lazy").arg(&self.place).output());
        drop(fs::remove_dir_all(&self.home));
    }
}
