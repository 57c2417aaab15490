//! Programs that never end, and networks that never answer: every step has a time limit.

use std::fs;
use std::net::TcpListener;

use crate::helpers::own_store;
use crate::look::processes_of;
use crate::site::{Said, Site, fixtures};

#[test]
fn a_step_that_never_ends_is_ended_with_all_that_it_started() {
    let family = "echo begun; sleep 87001 & (trap '' INT TERM; sleep 87002) & wait";
    let assets = format!("\n[assets]\ncommands = [[\"sh\", \"-c\", \"{family}\"]]\n");
    let site = Site::up("plain", &format!("step_timeout = 5\n{assets}"));
    let said = site.fails(1, &["create", "a"]);
    assert!(said.contains("create a stopped at step assets\n  why: sh -c echo begun; "), "{said}");
    assert!(said.contains("did not end within 5 s: begun\n"), "{said}");
    assert!(said.contains("find out what it waited for") && said.contains("logs/a.create-assets.log"), "{said}");
    assert!(said.contains("site.step_timeout in builds.toml lets it take longer"), "{said}");
    let left: Vec<_> = processes_of(&site).into_iter().filter(|process| process.title.contains("sleep 87")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(site.status("a")["state"], "incomplete");
    site.configure("step_timeout = 5\n\n[assets]\ncommands = []\n");
    site.ok(&["create", "a"]);
}

#[test]
fn an_index_and_a_registry_that_never_answer_are_given_up() {
    // Connections are taken by the kernel, and nobody ever says a word.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let site = Site::new("plain", "step_timeout = 5\n");
    for store in ["wheelhouse", "npm"] {
        own_store(&site, store);
    }
    let wheels = |variables: &[(&str, &str)]| {
        let said: Said = site.command(&["wheels"]).envs(variables.iter().copied()).output().unwrap().into();
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("did not end within 5 s") && said.err.contains("logs/wheels.log"), "{said:?}");
        assert!(said.err.contains("site.step_timeout in builds.toml lets it take longer"), "{said:?}");
        assert!(!site.root().join("deps/.source").exists());
        said.err
    };
    site.write("requirements.txt", "no-such-package-of-ours==7.1\n");
    assert!(wheels(&[("PIP_INDEX_URL", &url)]).contains("-m pip"));

    fs::remove_file(site.dir.join("requirements.txt")).unwrap();
    fs::copy(fixtures().join("demo/package.json"), site.dir.join("package.json")).unwrap();
    fs::remove_dir_all(site.root().join("deps/npm")).unwrap();
    assert!(wheels(&[("npm_config_registry", &url)]).contains("npm install"));
}
