//! Behind the host's own nginx: one that the deploy user may neither test nor reload, one that serves two sites.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::site::{Said, Site, wait_for};

#[test]
fn a_reload_by_root_is_enough_for_all_later_swaps() {
    let config = "\n[nginx]\ntest = [\"false\"]\nreload = [\"false\"]\npid_file = \"PID\"\n";
    let mut site = Site::new("plain", "");
    let pid_file = site.dir.join("host.pid");
    site.configure(&config.replace("PID", &pid_file.display().to_string()));
    site.start();
    site.ok(&["init"]);

    // From here on it is somebody else's nginx, and nobody knows what it has loaded: the names are younger.
    fs::rename(site.root().join("run/nginx.pid"), &pid_file).unwrap();
    fs::remove_file(site.root().join("run/nginx.loaded")).unwrap();
    let links = ["_live", "_stage"].map(|link| site.root().join("builds").join(link));
    assert!(Command::new("touch").arg("-h").args(links).status().unwrap().success());
    let before = site.names();
    let said = site.fails(6, &["swap-live"]);
    assert!(said.contains("taken back: nginx refuses its configuration"), "{said}");
    assert_eq!(site.names(), before);

    let master = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    wait_for("a swap after a reload", || {
        kill(Pid::from_raw(master), Signal::SIGHUP).unwrap();
        site.run(&["swap-live"]).code == 0
    });
    site.ok(&["swap-live"]);
    assert_eq!(site.names(), before);
}

/// Tells where its build is.
const TELLS: &str = "import os\n\n\ndef application(environ, start_response):\n    start_response(\"200 OK\", [])\n    \
    return [os.environ[\"BUILD_DIR\"].encode()]\n";

#[test]
fn two_sites_are_served_by_one_nginx() {
    for mode in ["socket", "port"] {
        let sites = [(); 2].map(|()| Site::new("plain", ""));
        let host = sites[0].dir.with_extension("host");
        fs::create_dir_all(&host).unwrap();
        let [conf, pid] = ["nginx.conf", "nginx.pid"].map(|file| host.join(file).display().to_string());
        let includes = sites.each_ref().map(|site| format!("include {}/conf/site.conf;", site.root().display()));
        fs::write(&conf, format!("user root;\npid {pid};\nevents {{}}\nhttp {{ {} }}\n", includes.join(" "))).unwrap();
        let inits = sites.each_ref().map(|site| {
            let test = format!("test = [\"nginx\", \"-t\", \"-q\", \"-c\", {conf:?}]");
            let reload = format!("reload = [\"nginx\", \"-s\", \"reload\", \"-c\", {conf:?}]");
            site.configure(&format!("\n[nginx]\nupstream = {mode:?}\n{test}\n{reload}\npid_file = {pid:?}\n"));
            site.write("wsgi.py", TELLS);
            let init = site.command(&["init"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            wait_for("the last of the site's files", || site.root().join("conf/pages/maintenance.html").exists());
            init
        });
        // There are no builds yet.
        let nginx = Command::new("nginx").args(["-c", &conf]).current_dir(&sites[0].dir).status().unwrap();
        assert!(nginx.success());
        sites.iter().for_each(start_emperors);
        for init in inits {
            let said = Said::from(init.wait_with_output().unwrap());
            assert_eq!(said.code, 0, "{mode}: {said:?}");
        }
        for site in &sites {
            site.ok(&["swap-live"]);
            site.ok(&["doctor"]);
        }
        for site in &sites {
            let told = |name: &str| (200, site.build(name).display().to_string());
            assert_eq!((site.live("/"), site.staged("/")), (told("b"), told("a")), "{mode}");
        }
        fs::remove_dir_all(host).unwrap();
    }
}

/// Starts a site's emperors as the README says, without the nginx of `builds up`. They end with the site.
fn start_emperors(site: &Site) {
    for emperor in ["vassals", "zergs"] {
        let log = fs::File::create(site.dir.join("deploy/logs").join(emperor)).unwrap();
        let ini = format!("deploy/conf/{emperor}.ini");
        let mut uwsgi = Command::new("uwsgi");
        uwsgi.args(["--ini", &ini]).current_dir(&site.dir).stdout(log.try_clone().unwrap()).stderr(log);
        drop(uwsgi.spawn().unwrap());
    }
}
