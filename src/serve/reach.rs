//! Whether nginx's workers, who are another user than uWSGI's under a host's own nginx, reach what they serve.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::nginx::Nginx;
use crate::model::config::Upstream;
use crate::site::Site;
use crate::system::procfs::{self, Access, Credentials};

/// A directory or socket that nginx's workers may not use.
#[derive(Debug)]
pub struct Barrier {
    path: PathBuf,
    access: Access,
    data: Metadata,
    user: String,
}

/// The first barrier between nginx's workers and the site; `None` also where this user cannot tell.
pub fn barrier(site: &Site, nginx: &Nginx) -> Option<Barrier> {
    let who = procfs::credentials(nginx.worker()?)?;
    let live = site.names().ok()?.live.filter(|_| site.config.nginx.upstream == Upstream::Socket);
    let socket = live.map(|name| site.layout.build(name).web_socket());
    let files = [site.layout.statics(), site.layout.media(), site.layout.conf().join("pages")];
    socket.into_iter().chain(files.map(|directory| directory.join("-"))).find_map(|path| on_the_way(&who, &path))
}

/// The first barrier on the way to a socket. A last name that does not exist is none.
fn on_the_way(who: &Credentials, path: &Path) -> Option<Barrier> {
    let mut places: Vec<&Path> = path.ancestors().collect();
    places.reverse();
    places.into_iter().find_map(|place| {
        let data = fs::metadata(place).ok()?;
        let access = if data.is_dir() { Access::Pass } else { Access::Write };
        let barred = !who.may(access, &data);
        barred.then(|| Barrier { path: place.to_owned(), access, data, user: user(who.user) })
    })
}

impl Barrier {
    /// What is wrong.
    pub fn found(&self) -> String {
        let verb = if self.access == Access::Pass { "pass through" } else { "write to" };
        format!("nginx's workers run as {}, who may not {verb} {}", self.user, self.path.display())
    }

    /// What to type: the group is let in, unless the file is closed to its group, too.
    pub fn next(&self) -> String {
        let (user, path) = (&self.user, self.path.display());
        let group = group(self.data.gid());
        let let_in = format!("adduser {user} {group}, then nginx -s reload, both as root");
        match (self.data.permissions().mode() >> 3 & self.access as u32, self.access) {
            (0, Access::Pass) => format!("chmod g+x {path}, then {let_in}; or keep the site elsewhere, as in /srv"),
            (0, Access::Write) => format!("chmod-socket = 660 in conf/vassal.skel, then {let_in}"),
            _ => let_in,
        }
    }
}

fn user(id: u32) -> String {
    let user = User::from_uid(Uid::from_raw(id)).ok().flatten();
    user.map_or_else(|| id.to_string(), |user| user.name)
}

fn group(id: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(id)).ok().flatten();
    group.map_or_else(|| id.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_directory_bars_strangers_and_lets_its_group_in() {
        let dir = std::env::temp_dir().join(format!("builds-reach-{}", std::process::id()));
        fs::create_dir_all(dir.join("run")).unwrap();
        fs::set_permissions(dir.join("run"), fs::Permissions::from_mode(0o750)).unwrap();
        let data = fs::metadata(&dir).unwrap();
        let of = |user, group| Credentials { user, groups: vec![group] };
        let socket = dir.join("run/web.sock");
        let barrier = on_the_way(&of(data.uid() + 1, data.gid() + 1), &socket).unwrap();
        assert_eq!(barrier.path, dir.join("run"));
        assert!(barrier.next().starts_with("adduser "), "{}", barrier.next());
        assert!(on_the_way(&of(data.uid() + 1, data.gid()), &socket).is_none());
        fs::remove_dir_all(&dir).unwrap();
    }
}
