//! nginx: whether it serves the site, and reaches all of it.

use super::{Finding, failed, notice, problem};
use crate::model::config::Upstream;
use crate::model::nginx_conf;
use crate::serve::nginx::{self, Nginx};
use crate::serve::{Trouble, conf, reach};
use crate::site::Site;
use crate::system::files;

/// What `builds` needs of nginx's files, beyond that they serve the site: where, what, and what happens without.
const RELIED_ON: [(&str, &str, &str); 2] = [
    ("site.conf", "/logs/requests.json", "nothing tells how the requests of each build went"),
    ("locations.conf", "$own.maintenance", "builds maintenance on is refused"),
];

pub(super) fn proxy(site: &Site) -> Vec<Finding> {
    let mut findings = match nginx::find(site) {
        Ok(nginx) => running(site, &nginx),
        Err(trouble) => vec![failed(&trouble.into())],
    };
    findings.extend(lacks(site));
    findings.extend(conf::check_pass(site).err().map(|error| failed(&error)));
    if site.config.nginx.upstream == Upstream::Port {
        findings.push(notice(
            "nginx.upstream is \"port\": a swap reloads nginx, which can break idle keep-alive connections",
            "set upstream = \"socket\" in builds.toml, remove conf/pass.conf and run builds init",
        ));
    }
    findings
}

/// What files that were edited, or are older than a new version of `builds`, do not have.
fn lacks(site: &Site) -> Vec<Finding> {
    let lacks = RELIED_ON.into_iter().filter_map(|(file, what, harm)| {
        let path = site.layout.conf().join(file);
        let text = files::read(&path).ok()??;
        let says = text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(what));
        (!says).then(|| {
            problem(
                format!("{} lacks `{what}`: without it {harm}", path.display()),
                "put the missing lines back; or remove the file, builds init; then nginx -t and nginx -s reload",
            )
        })
    });
    lacks.collect()
}

fn running(site: &Site, nginx: &Nginx) -> Vec<Finding> {
    let socket = site.config.nginx.upstream == Upstream::Socket;
    let barrier = reach::barrier(site, nginx);
    let mut findings: Vec<_> = barrier.map(|barrier| problem(barrier.found(), barrier.next())).into_iter().collect();
    match nginx.configuration() {
        Ok(text) => findings.extend(loaded(site, &text)),
        // In socket mode nobody but root ever has to test or reload it.
        Err(Trouble::BadNginxConf(error)) if socket && error.tail.contains("Permission denied") => {
            findings.push(notice("this user may not test the host's nginx", "sudo nginx -t"));
        }
        Err(trouble) => findings.push(failed(&trouble.into())),
    }
    findings
}

/// What the configuration that nginx loads does to the site.
fn loaded(site: &Site, text: &str) -> Vec<Finding> {
    let conf = site.layout.conf();
    if !text.contains("# configuration file ") {
        // A test command of the operator's own, which cannot be asked for more.
        return Vec::new();
    }
    if !text.contains(&format!("# configuration file {}:", conf.join("site.conf").display())) {
        let line = format!("include {};", conf.join("site.conf").display());
        return vec![problem(
            "the running nginx does not include the site",
            format!("put the line `{line}` into a file in /etc/nginx/conf.d/ and reload nginx"),
        )];
    }
    let spoilers = [
        ("open_file_cache", "serves files of the old build for a while after a swap"),
        ("disable_symlinks", "follows neither _live nor _stage to a file"),
    ];
    let root = site.layout.root().to_string_lossy();
    let in_force = spoilers.into_iter().filter_map(|(name, harm)| {
        let value = nginx_conf::in_force(text, &root, name)?;
        let file = conf.join("locations.conf");
        Some(problem(
            format!("nginx has `{name} {value};`, with which it {harm}"),
            format!("put the line `{name} off;` into {} and reload nginx", file.display()),
        ))
    });
    in_force.collect()
}
