//! What `builds doctor` finds of nginx, also of a host's own.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::finds;
use crate::site::{Site, wait_for};

/// A host's own nginx.
struct Host(Child);

impl Host {
    /// Starts it in place of the one under `builds up`.
    fn start(site: &Site, http: &str) -> Self {
        let (conf, pid) = (site.dir.join("host.conf"), site.dir.join("host.pid"));
        let user = if geteuid().is_root() { "user nobody nogroup;" } else { "" };
        let text = format!("{user} daemon off; pid {}; events {{}} http {{ access_log off; {http} }}", pid.display());
        fs::write(&conf, text).unwrap();
        let mut test = ["nginx", "-t", "-q", "-e", "stderr", "-c"].map(|word| format!("{word:?}")).to_vec();
        test.push(format!("{conf:?}"));
        site.configure(&format!("\n[nginx]\npid_file = {pid:?}\ntest = [{}]\n", test.join(", ")));
        let own = site.root().join("run/nginx.pid");
        fs::rename(&own, own.with_extension("away")).unwrap();
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-c"]).arg(conf).stdin(Stdio::null());
        let host = Self(command.current_dir(&site.dir).spawn().unwrap());
        wait_for("the host's nginx", || fs::read(&pid).is_ok_and(|text| !text.is_empty()));
        host
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM).ok();
        drop(self.0.wait());
    }
}

#[test]
fn a_hosts_nginx_that_does_not_include_the_site_or_reach_it() {
    let site = Site::ready("plain", "");
    let listen = site.ports.base + 97;
    let host = Host::start(&site, &format!("server {{ listen 127.0.0.1:{listen}; }}"));
    let include = format!("include {}/conf/site.conf;", site.root().display());
    finds(&site, "the running nginx does not include the site", &format!("put the line `{include}` into"));
    if geteuid().is_root() {
        let run = site.build("a").join("run").display().to_string();
        let found = format!("nginx's workers run as nobody, who may not pass through {run}");
        finds(&site, &found, "adduser nobody root, then nginx -s reload, both as root");
    }
    drop(host);
}

#[test]
fn settings_of_other_sites_that_would_spoil_this_one() {
    let site = Site::ready("plain", "");
    let nginx = site.read("deploy/conf/nginx.conf");
    let spoiled = nginx.replace("sendfile on;", "open_file_cache max=100 inactive=20s;\n    disable_symlinks on;");
    site.write("deploy/conf/nginx.conf", &spoiled);
    assert!(!site.ok(&["doctor"]).contains("with which it"), "the site's own locations.conf wins");

    let locations = site.read("deploy/conf/locations.conf");
    let file = site.root().join("conf/locations.conf").display().to_string();
    for (directive, value, harm) in [
        ("open_file_cache", "max=100 inactive=20s", "serves files of the old build for a while after a swap"),
        ("disable_symlinks", "on", "follows neither _live nor _stage to a file"),
    ] {
        let off = format!("{directive} off;");
        site.write("deploy/conf/locations.conf", &locations.replace(&off, ""));
        let found = format!("nginx has `{directive} {value};`, with which it {harm}");
        finds(&site, &found, &format!("put the line `{off}` into {file} and reload nginx"));
    }
}

#[test]
fn files_that_are_older_than_what_commands_rely_on() {
    let site = Site::ready("plain", "");
    for (file, line, harm) in [
        ("site.conf", "access_log ", "nothing tells how the requests of each build went"),
        ("locations.conf", "if (-e ", "builds maintenance on is refused"),
    ] {
        let path = format!("deploy/conf/{file}");
        let shipped = site.read(&path);
        site.write(&path, &shipped.replace(line, &format!("# {line}")));
        finds(&site, &format!("without it {harm}"), "put the missing lines back; or remove the file, builds init");
        site.write(&path, &shipped);
    }
}
