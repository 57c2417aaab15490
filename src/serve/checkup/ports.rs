//! The ports of the builds, and who else listens at them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Finding, failed, problem};
use crate::model::name::BuildName;
use crate::model::port::Port;
use crate::serve::Trouble;
use crate::site::Site;
use crate::system::listeners::{self, Listener};

/// As many builds as a site is taken to have at least: a to j.
const USUAL: u32 = 10;

/// Ports that builds of this site have or would have, and that others listen at.
pub(super) fn ports(site: &Site) -> Vec<Finding> {
    let listeners = listeners::listeners();
    let shared = shared(site, &listeners);
    let theirs = shared.values().flatten().copied();
    let spoken_for: Vec<u16> = theirs
        .chain(of_sites(&listeners).filter(|(root, _)| *root == site.layout.root()).map(|(_, port)| port))
        .collect();
    let taken = listeners::taken();
    let names = site.builds().into_iter().flatten().chain(site.find_free());
    let blocked = names.filter_map(|name| {
        let port = site.port(name).ok()?.number();
        let by_others = taken.contains(&port) && !spoken_for.contains(&port) && !site.observe(name).ok()?.listening;
        by_others.then(|| failed(&Trouble::PortTaken { name, port }.into()))
    });
    let overlaps = shared.iter().map(|(root, ports)| overlap(site, root, ports));
    overlaps.chain(blocked).collect()
}

/// Each vassal's port, with the root of its site: the process that has the port has the vassal's other sockets, too.
fn of_sites(listeners: &[Listener]) -> impl Iterator<Item = (&Path, u16)> {
    listeners.iter().flat_map(|listener| {
        let roots = listener.sockets.iter().filter_map(|socket| root_of(socket));
        roots.flat_map(|root| listener.ports.iter().map(move |&port| (root, port)))
    })
}

/// The root of the site that a build's socket belongs to.
fn root_of(socket: &Path) -> Option<&Path> {
    let build = socket.parent().filter(|run| run.ends_with("run"))?.parent()?;
    build.file_name()?.to_str()?.parse::<BuildName>().ok()?;
    build.parent().filter(|builds| builds.ends_with("builds"))?.parent()
}

/// The ports of other sites' builds that a build of this one has or may well get, by the root of the other site.
fn shared(site: &Site, listeners: &[Listener]) -> BTreeMap<PathBuf, BTreeSet<u16>> {
    let last = site.builds().into_iter().flatten().last().map_or(0, |name| name.number() + 1).max(USUAL);
    let base = site.config.site.base_port;
    let mut shared: BTreeMap<PathBuf, BTreeSet<u16>> = BTreeMap::new();
    for (root, port) in of_sites(listeners) {
        let wanted = Port::owner(port, base).is_some_and(|name| name.number() < last);
        if wanted && root != site.layout.root() {
            shared.entry(root.to_owned()).or_default().insert(port);
        }
    }
    shared
}

fn overlap(site: &Site, root: &Path, ports: &BTreeSet<u16>) -> Finding {
    let base = site.config.site.base_port;
    let builds = ports.iter().filter_map(|&port| Some(format!("{port} of build {}", Port::owner(port, base)?)));
    let builds = builds.collect::<Vec<_>>().join(", ");
    problem(
        format!("the site in {} has ports of this one: {builds}", root.display()),
        "give one of the two another site.base_port in its builds.toml, while none of its builds runs",
    )
}
