//! The host: its programs and its limits.

use std::fs;

use super::{Finding, problem};
use crate::site::Site;
use crate::system::process::Run;

pub(super) fn programs(site: &Site) -> Vec<Finding> {
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

pub(super) fn limits(site: &Site) -> Vec<Finding> {
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
