//! nginx: whether it serves the site, and reaches all of it.

use super::{Finding, failed, notice, problem};
use crate::model::config::Upstream;
use crate::serve::nginx::{self, Nginx};
use crate::serve::{Trouble, conf, reach};
use crate::site::Site;

pub(super) fn proxy(site: &Site) -> Vec<Finding> {
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
