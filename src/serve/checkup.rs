//! What can be wrong with a host or a site, each with what to type next.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::emperor::Emperor;
use super::nginx::{self, Nginx};
use super::{Trouble, conf, reach};
use crate::error::Error;
use crate::model::config::{Installer, Upstream};
use crate::model::name::BuildName;
use crate::model::observed::State;
use crate::site::Site;
use crate::system::files;
use crate::system::process::Run;

/// Something that is not as it should be, or that an operator should know.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Whether the site cannot work like this.
    pub problem: bool,
    /// What was found.
    pub found: String,
    /// What to type next.
    pub next: String,
}

/// Examines the host and the site.
pub fn examine(site: &Site) -> Vec<Finding> {
    [programs, limits, source, stores, skeletons, emperors, proxy, names, builds, strangers, leftovers]
        .into_iter()
        .flat_map(|examine| examine(site))
        .collect()
}

fn problem(found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { problem: true, found: found.into(), next: next.into() }
}

fn notice(found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { problem: false, found: found.into(), next: next.into() }
}

/// Turns an error of a check into a finding.
fn failed(error: &Error) -> Finding {
    problem(format!("{}: {}", error.what(), error.cause()), error.next())
}

fn programs(site: &Site) -> Vec<Finding> {
    let config = &site.config;
    let venv = "import ensurepip, venv";
    let checks = [
        (Run::new(&config.uwsgi.binary).arg("--version"), "uWSGI", "apt-get install uwsgi-core uwsgi-plugin-python3"),
        (Run::new(&config.nginx.binary).arg("-v"), "nginx", "apt-get install nginx-core"),
        (Run::new(&config.python.interpreter).args(["-c", venv]), "Python with venv", "apt-get install python3-venv"),
    ];
    let mut findings: Vec<Finding> = checks
        .into_iter()
        .filter_map(|(run, name, next)| run.output().err().map(|error| (error, name, next)))
        .map(|(error, name, next)| problem(format!("{name}: {}: {}", error.what(), error.cause()), next))
        .collect();
    let wants_npm = config.site.source.join(&config.node.package_dir).join("package.json").is_file();
    if wants_npm && Run::new("npm").arg("--version").output().is_err() {
        findings.push(problem("the source has a package.json, and there is no npm", "apt-get install npm"));
    }
    findings
}

fn limits(site: &Site) -> Vec<Finding> {
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|text| text.trim().parse::<u32>().ok());
    let wanted = u32::from(site.config.uwsgi.listen);
    match most {
        Some(most) if wanted > most => vec![problem(
            format!("uwsgi.listen is {wanted}, and the kernel allows {most}: uWSGI will not start"),
            format!("sysctl -w net.core.somaxconn={wanted}, or a lower listen in builds.toml"),
        )],
        _ => Vec::new(),
    }
}

fn source(site: &Site) -> Vec<Finding> {
    let source = &site.config.site.source;
    if source.is_dir() {
        return Vec::new();
    }
    vec![problem(format!("site.source: {} is no directory", source.display()), "correct source in builds.toml")]
}

fn stores(site: &Site) -> Vec<Finding> {
    let bin = site.layout.tools().join("bin");
    let uv = site.config.python.installer == Installer::Pip || bin.join("uv").exists();
    if site.layout.wheelhouse().is_dir() && bin.join("python").exists() && uv {
        return Vec::new();
    }
    vec![problem("there is no wheelhouse, or no installer beside it", "builds wheels")]
}

fn skeletons(site: &Site) -> Vec<Finding> {
    if !site.layout.conf().is_dir() {
        return vec![problem(format!("{} is not written yet", site.layout.conf().display()), "builds init")];
    }
    let edited = match conf::edited(site) {
        Ok(edited) => edited,
        Err(error) => return vec![failed(&error)],
    };
    let findings = edited.into_iter().map(|file| {
        let path = site.layout.conf().join(file.path);
        if !path.exists() {
            return problem(format!("{} is missing", path.display()), "builds init writes it");
        }
        let lines = |sign: char, lines: &[String]| {
            lines.iter().map(|line| format!("\n        {sign} {line}")).collect::<String>()
        };
        let difference = lines('-', &file.missing) + &lines('+', &file.added);
        notice(
            format!("{} differs from the shipped one:{difference}", path.display()),
            "leave it if you meant it; remove it and run builds init for the shipped one",
        )
    });
    findings.collect()
}

fn emperors(site: &Site) -> Vec<Finding> {
    let checks = [Emperor::Vassals, Emperor::Zergs].map(|emperor| emperor.check(site));
    let troubles = checks.into_iter().filter_map(Result::err);
    troubles.map(|trouble| failed(&trouble.into())).collect()
}

fn proxy(site: &Site) -> Vec<Finding> {
    let mut findings = match nginx::find(site) {
        Ok(nginx) => running(site, &nginx),
        Err(trouble) => vec![failed(&trouble.into())],
    };
    findings.extend(conf::check_pass(site).err().map(|error| failed(&error)));
    if site.config.nginx.upstream == Upstream::Port {
        findings.push(notice(
            "nginx.upstream is \"port\": a swap reloads nginx, which can break idle keep-alive connections",
            "set upstream = \"socket\" in builds.toml, remove conf/pass.conf and run builds init",
        ));
    }
    findings
}

fn running(site: &Site, nginx: &Nginx) -> Vec<Finding> {
    let socket = site.config.nginx.upstream == Upstream::Socket;
    let barrier = reach::barrier(site, nginx);
    let mut findings: Vec<_> = barrier.map(|barrier| problem(barrier.found(), barrier.next())).into_iter().collect();
    match nginx.test() {
        Ok(()) if nginx.serves().is_ok_and(|serves| !serves) => {
            let file = site.layout.conf().join("site.conf");
            findings.push(problem(
                "the running nginx does not include the site",
                format!(
                    "put the line `include {};` into a file in /etc/nginx/conf.d/ and reload nginx",
                    file.display()
                ),
            ));
        }
        Ok(()) => {}
        // In socket mode nobody but root ever has to test or reload it.
        Err(Trouble::BadNginxConf(error)) if socket && error.tail.contains("Permission denied") => {
            findings.push(notice("this user may not test the host's nginx", "sudo nginx -t"));
        }
        Err(trouble) => findings.push(failed(&trouble.into())),
    }
    findings
}

fn names(site: &Site) -> Vec<Finding> {
    match site.names() {
        Ok(names) if names.live.is_none() || names.stage.is_none() => {
            vec![problem("there is no live or no staged build yet", "builds init")]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![failed(&error)],
    }
}

fn builds(site: &Site) -> Vec<Finding> {
    let all = match site.builds() {
        Ok(all) => all,
        Err(error) => return vec![failed(&error)],
    };
    let mut findings = Vec::new();
    for name in all {
        if let Err(error) = site.check_ours(name) {
            findings.push(failed(&error));
            continue;
        }
        let state = site.observe(name).map(|build| build.state());
        if state.as_ref().is_ok_and(|&state| state >= State::Down)
            && let Err(error) = site.check_port(name)
        {
            findings.push(failed(&error));
        }
        match state {
            Ok(State::Incomplete) => findings.push(notice(
                format!("build {name} is incomplete"),
                format!("builds create {name} continues it, builds rm {name} removes it"),
            )),
            Ok(State::Down) => findings.push(problem(
                format!("build {name} should listen, and its vassal does not answer"),
                "builds up starts uWSGI; logs/ tells why a vassal ends",
            )),
            Ok(State::Active) => findings.push(problem(
                format!("build {name} is active, and not all of its workers are ready"),
                format!("builds activate {name} waits for them, or tells why they do not start"),
            )),
            Ok(State::Archived) => {}
            Ok(_) if !site.layout.build(name).python().exists() => findings.push(problem(
                format!("build {name} has lost its Python: workers that end now do not come back"),
                format!("put {} back, or let another build take its place", site.layout.build(name).python().display()),
            )),
            Ok(_) => {}
            Err(error) => findings.push(failed(&error)),
        }
    }
    findings
}

/// Directories that are no builds, and that the emperors take for some: copies and backups.
fn strangers(site: &Site) -> Vec<Finding> {
    let entries = fs::read_dir(site.layout.builds()).into_iter().flatten().flatten();
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries
        .filter(|entry| name(entry).starts_with(|first: char| first.is_ascii_lowercase()))
        .filter(|entry| name(entry).parse::<BuildName>().is_err())
        .filter(|entry| {
            ["vassal.ini", "zerg.ini", "zerg-2.ini"].iter().any(|ini| files::exists(&entry.path().join(ini)))
        })
        .map(|entry| {
            let path = entry.path();
            problem(
                format!("{} is no build, and uWSGI runs it as one", path.display()),
                format!("rm -f {0}/zerg.ini {0}/zerg-2.ini {0}/vassal.ini, or move it out of builds/", path.display()),
            )
        })
        .collect()
}

/// What killed commands left behind. Their next run removes it.
fn leftovers(site: &Site) -> Vec<Finding> {
    let is_leftover = |name: &str| name.starts_with(".removing-") || (name.starts_with('.') && name.ends_with(".tmp"));
    let entries = fs::read_dir(site.layout.builds()).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_leftover(&entry.file_name().to_string_lossy()))
        .map(|entry| notice(format!("{} is left of a killed command", entry.path().display()), left(&entry.path())))
        .collect()
}

fn left(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.strip_prefix(".removing-") {
        Some(build) => format!("builds rm {build}"),
        None => format!("rm {}", path.display()),
    }
}
