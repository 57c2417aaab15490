//! The way that `builds` came to replace, on the same site, from the same packages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{seconds, shop};
use crate::helpers::shell;
use crate::site::{Site, fixtures};

/// The seconds that one more build takes in that way. `pip` are options of pip's.
pub fn create(site: &Site, pip: &[&str]) -> f64 {
    static BUILDS: AtomicUsize = AtomicUsize::new(0);
    let build = place(site, &format!("build-{}", BUILDS.fetch_add(1, Ordering::SeqCst)));
    let mut command = Command::new("sh");
    command.arg(fixtures().join("bench/original/create.sh")).args([&site.dir, &build, &shop::stores()]);
    command.arg(shop::tools_python()).args(pip);
    let took = seconds(|| drop(shell(&mut command)));
    assert!(build.join("assets/static/wagtailadmin").is_dir() && build.join("node_modules/webpack").is_dir());
    took
}

/// A place of the rival's that does not exist, on the file system of the site's builds.
pub fn place(site: &Site, name: &str) -> PathBuf {
    let place = site.root().join("rival").join(name);
    drop(fs::remove_dir_all(&place));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    place
}
