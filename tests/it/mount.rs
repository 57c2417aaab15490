//! A site whose root is a file system of its own.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::shell;
use crate::site::Site;

/// A site with a file system mounted at its root, gone with it.
pub struct Mounted {
    site: Site,
    /// What the file system lies in.
    home: PathBuf,
}

impl Mounted {
    /// `make` gets a directory for its own and returns the arguments of `mount` without the place. `None`, with a message,
    /// where this user may not mount.
    pub fn new(make: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let site = Site::new("plain", "\n[uwsgi]\nworkers = 1\n");
        let home = site.dir.with_extension("fs");
        drop(fs::remove_dir_all(&home));
        fs::create_dir_all(&home).unwrap();
        let (root, kept) = (site.root(), home.join("kept"));
        shell(Command::new("cp").arg("-a").arg(&root).arg(&kept));
        let mounted = Self { site, home };
        let arguments = make(&mounted.home);
        let mount = Command::new("mount").args(&arguments).arg(&root).output().unwrap();
        if !mount.status.success() {
            let why = String::from_utf8_lossy(&mount.stderr);
            assert!(!nix::unistd::geteuid().is_root(), "mount {arguments:?}: {why}");
            eprintln!("skipped: this user may not mount: {why}");
            return None;
        }
        shell(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&root));
        Some(mounted)
    }

    /// A file system of a type that `mkfs` makes, in a file of so many MB.
    pub fn made(kind: &str, megabytes: u64) -> Option<Self> {
        Self::new(|home| {
            let image = home.join("image");
            fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
            shell(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
            ["-t", kind, "-o", "loop"].map(str::to_owned).into_iter().chain([image.display().to_string()]).collect()
        })
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
        drop(Command::new("umount").arg("--lazy").arg(self.site.root()).output());
        drop(fs::remove_dir_all(&self.home));
    }
}
