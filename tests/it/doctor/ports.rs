//! What `builds doctor` finds of others at the ports of builds.

use std::net::TcpListener;

use super::finds;
use crate::site::Site;

#[test]
fn two_sites_with_the_same_ports() {
    let other = Site::ready("plain", "");
    let site = Site::new("plain", "");
    let base = other.ports.base - 10;
    let config = site.read("builds.toml").replace(&site.ports.base.to_string(), &base.to_string());
    site.write("builds.toml", &config);
    let root = other.root().display().to_string();
    let builds = format!("{} of build b, {} of build c", base + 10, base + 20);
    let found = format!("the site in {root} has ports of this one: {builds}");
    finds(&site, &found, "give one of the two another site.base_port");
    assert_eq!(other.ok(&["doctor"]), "everything is in order\n");
}

#[test]
fn a_port_that_another_program_has() {
    let site = Site::new("plain", "");
    let port = site.port("a");
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    finds(&site, &format!("port {port} of build a is taken"), &format!("ss -ltnp 'sport = {port}'"));
    drop(taken);
    assert!(!site.fails(1, &["doctor"]).contains("is taken"));
}
