//! Who listens where, as `/proc` tells.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::procfs;

/// The state of a socket that listens, in `/proc/net/tcp` and `/proc/net/tcp6`.
const LISTENS: &str = "0A";
/// The addresses there that take the port from 127.0.0.1: itself, and any.
const TAKE_LOOPBACK: [&str; 3] = ["0100007F", "00000000", "00000000000000000000000000000000"];

/// A process and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The process.
    pub pid: i32,
    /// TCP ports of 127.0.0.1.
    pub ports: Vec<u16>,
    /// Unix sockets, by the paths that it gave them.
    pub sockets: Vec<PathBuf>,
}

/// The ports of 127.0.0.1 at which somebody listens, each with the inode of the socket.
fn ports() -> HashMap<u64, u16> {
    let read = |table: &str| fs::read_to_string(Path::new("/proc/net").join(table)).unwrap_or_default();
    let tables = read("tcp") + &read("tcp6");
    tables.lines().filter_map(parse_tcp).collect()
}

/// The ports of 127.0.0.1 that nobody else can listen at.
pub fn taken() -> HashSet<u16> {
    ports().into_values().collect()
}

/// All processes that listen, as far as this user may know: root sees all of them, others their own.
pub fn listeners() -> Vec<Listener> {
    let ports = ports();
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let sockets: HashMap<u64, PathBuf> = String::from_utf8_lossy(&table).lines().filter_map(parse_unix).collect();
    let listener = |pid| {
        let held = inodes(pid);
        Listener {
            pid,
            ports: held.iter().filter_map(|inode| ports.get(inode).copied()).collect(),
            sockets: held.iter().filter_map(|inode| sockets.get(inode).cloned()).collect(),
        }
    };
    procfs::processes()
        .map(|process| listener(process.pid))
        .filter(|found| !found.ports.is_empty() || !found.sockets.is_empty())
        .collect()
}

/// The sockets that a process has open.
fn inodes(pid: i32) -> HashSet<u64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    open.filter_map(inode).collect()
}

/// Inode and port of a line of `/proc/net/tcp` or `/proc/net/tcp6`, if it is a socket that takes a port of 127.0.0.1.
fn parse_tcp(line: &str) -> Option<(u64, u16)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    let listens = fields.get(3) == Some(&LISTENS) && TAKE_LOOPBACK.contains(&address);
    let inode = fields.get(9)?.parse().ok()?;
    listens.then_some((inode, u16::from_str_radix(port, 16).ok()?))
}

/// Inode and path of a line of `/proc/net/unix`, if it is a socket that listens.
fn parse_unix(line: &str) -> Option<(u64, PathBuf)> {
    let mut fields = line.split_whitespace();
    let state = fields.nth(5)?;
    let inode = fields.next()?.parse().ok()?;
    let path = fields.next()?;
    (state == "01").then(|| (inode, path.into()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            tcp in damaged("   0: 0100007F:07D0 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0"),
            unix in damaged("0: 00000002 00000000 00010000 0001 01 4711 /run/x.sock"),
        ) {
            parse_tcp(&tcp);
            parse_unix(&unix);
        }
    }

    #[test]
    fn a_process_finds_where_it_listens_itself() {
        let path = std::env::temp_dir().join(format!("builds-listeners-{}.sock", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let found = listeners();
        let own = found.iter().find(|listener| listener.pid == std::process::id() as i32).unwrap();
        assert!(own.ports.contains(&port) && own.sockets.contains(&path), "{own:?}");
        assert!(taken().contains(&port));
        drop((unix, tcp));
        assert!(!taken().contains(&port));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn only_what_keeps_others_from_loopback_takes_a_port() {
        let line = |address: &str, state: &str| {
            parse_tcp(&format!(
                "   0: {address}:07D0 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0"
            ))
        };
        assert_eq!(line("0100007F", "0A"), Some((4711, 2000)));
        assert_eq!(line("00000000", "0A"), Some((4711, 2000)));
        assert_eq!(line("0501A8C0", "0A"), None);
        assert_eq!(line("0100007F", "01"), None);
        assert_eq!(parse_tcp("  sl  local_address rem_address   st"), None);
    }
}
