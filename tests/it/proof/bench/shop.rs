//! The site of the benchmark: Wagtail's project template with sixty packages of Python and 80 MB of npm's, generated
//! once and kept below `target/`.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::target;
use crate::helpers::{git, repository, shell};
use crate::site::{Site, binary, fixtures};

static HOME: OnceLock<PathBuf> = OnceLock::new();

/// Small packages, each with the other version that the wheelhouse has.
const CHANGES: [(&str, &str); 4] = [
    ("sqlparse==0.6.1", "sqlparse==0.5.3"),
    ("six==1.17.0", "six==1.16.0"),
    ("wcwidth==0.9.4", "wcwidth==0.2.13"),
    ("filetype==1.2.0", "filetype==1.0.13"),
];

/// How many sets of requirements [`change`] makes of them before one comes again.
pub const SETS: usize = (1 << CHANGES.len()) - 1;

const CONFIG: &str = "\n[init]\ncommands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]\n
[env]\nDJANGO_SETTINGS_MODULE = \"shop.settings.served\"\n\n[python]\n";

/// A copy of the site with a root of its own, which shares the packages, and nothing that is cached.
pub fn site() -> Site {
    let site = Site::of(&home().join("site"));
    configure(&site, "");
    site.link_stores(&stores(), &["wheelhouse", "npm", "tools"]);
    site
}

/// Writes `builds.toml`, with more of the section of assets.
pub fn configure(site: &Site, assets: &str) {
    site.configure(&format!("{CONFIG}interpreter = \"{}\"\n\n[assets]\n{assets}\n", interpreter()));
}

/// Changes one requirement of a site, so that the set is one that it never had: in the order of a Gray code.
pub fn change(site: &Site, round: usize) {
    let (one, other) = CHANGES[(round + 1).trailing_zeros() as usize % CHANGES.len()];
    let text = site.read("requirements.txt");
    let (from, to) = if text.contains(one) { (one, other) } else { (other, one) };
    site.write("requirements.txt", &text.replace(from, to));
}

/// The wheelhouse, npm's store and the tools.
pub fn stores() -> PathBuf {
    home().join("fetched/deploy/deps")
}

/// A Python that has what the rival needs. Its scripts would break when `target/` is moved.
pub fn tools_python() -> PathBuf {
    home().join("tools/bin/python")
}

/// The version of uv, where anything was installed with it.
pub fn uv_version() -> String {
    HOME.get().map_or_else(String::new, |_| shell(Command::new(stores().join("tools/bin/uv")).arg("--version")))
}

/// The distribution's Python, which is also uWSGI's, where it can make virtual environments. Its real path: a shim that looks
/// for the right Python would only add its own time, to both sides.
pub fn interpreter() -> String {
    let path = "import ensurepip, os, sys, venv; print(os.path.realpath(sys.executable))";
    let asked = |python| Command::new(python).args(["-c", path]).output().ok().filter(|said| said.status.success());
    let said = ["/usr/bin/python3", "python3"].into_iter().find_map(asked).unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// Where it is kept, made by the first who asks.
fn home() -> &'static Path {
    HOME.get_or_init(|| {
        let home = target().join("bench").join(key());
        if !home.join("done").exists() {
            eprintln!("the benchmark's site and its packages are fetched into {}", home.display());
            drop(fs::remove_dir_all(&home));
            generate(&home);
            fs::write(home.join("done"), "").unwrap();
        }
        home
    })
}

/// What it is made of; anything else makes another one.
fn key() -> String {
    let mut hasher = DefaultHasher::new();
    interpreter().hash(&mut hasher);
    for file in ["requirements.txt", "package.json", "served.py"] {
        fs::read(fixtures().join("bench").join(file)).unwrap().hash(&mut hasher);
    }
    CHANGES.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn generate(home: &Path) {
    let (tools, site, fetched) = (home.join("tools"), home.join("site"), home.join("fetched"));
    fs::create_dir_all(&site).unwrap();
    shell(Command::new(interpreter()).args(["-m", "venv"]).arg(&tools));
    let pinned = fs::read_to_string(fixtures().join("bench/requirements.txt")).unwrap();
    let generators = pinned.lines().filter(|line| ["wagtail=", "Django="].iter().any(|name| line.starts_with(name)));
    let pip = |args: &[&str]| shell(Command::new(tools.join("bin/pip")).arg("install").args(args));
    pip(&["--quiet", "virtualenv"]);
    pip(&[&["--quiet"], &*generators.collect::<Vec<_>>()].concat());

    shell(Command::new(tools.join("bin/wagtail")).args(["start", "shop", "."]).current_dir(&site));
    for (file, place) in [("requirements.txt", ""), ("package.json", ""), ("served.py", "shop/settings")] {
        fs::copy(fixtures().join("bench").join(file), site.join(place).join(file)).unwrap();
    }
    let lock = ["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"];
    shell(Command::new("npm").args(lock).current_dir(&site));
    repository(&site);

    shell(Command::new("cp").arg("-a").arg(&site).arg(&fetched));
    let others: Vec<_> = CHANGES.iter().map(|(_, other)| *other).collect();
    fs::write(fetched.join("others.txt"), others.join("\n")).unwrap();
    // git tracks what the site takes.
    git(&fetched, &["add", "others.txt"]);
    for file in ["requirements.txt", "others.txt"] {
        let config = format!("[python]\ninterpreter = \"{}\"\nrequirements = [\"{file}\"]\n", interpreter());
        fs::write(fetched.join("builds.toml"), config).unwrap();
        shell(Command::new(binary()).arg("wheels").current_dir(&fetched));
    }
}
