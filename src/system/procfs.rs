//! Which processes there are, as `/proc` tells.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::unistd::{SysconfVar, sysconf};

/// A process as it was seen. Pids are used again, so its start time is part of what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// The id of its process group, which is that of the process that began it.
    pub group: i32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// Its title, as `ps` shows it.
    pub title: String,
}

/// The process of this id, or `None` where there is none.
pub fn process(pid: i32) -> Option<Process> {
    let directory = Path::new("/proc").join(pid.to_string());
    // The name in it may be no text.
    let stat = fs::read(directory.join("stat")).ok()?;
    let (parent, group, started) = parse_stat(&String::from_utf8_lossy(&stat))?;
    let title = fs::read(directory.join("cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).replace('\0', " ").trim().to_owned();
    Some(Process { pid, parent, group, started, title })
}

impl Process {
    /// When it started, by the clock of the machine.
    pub fn started_at(&self) -> Option<SystemTime> {
        let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let boot: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
        let since = Duration::from_secs(boot) + Duration::from_millis(self.started.saturating_mul(1000) / ticks);
        UNIX_EPOCH.checked_add(since)
    }
}

/// As whom a process acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its effective user.
    pub user: u32,
    /// Its effective group and the supplementary ones.
    pub groups: Vec<u32>,
}

/// What a process wants of a file, as a bit of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To pass through a directory.
    Pass = 1,
    /// To write, as whoever connects to a socket must be able to.
    Write = 2,
}

/// As whom a process acts, or `None` where there is none or its system does not tell.
pub fn credentials(pid: i32) -> Option<Credentials> {
    parse_status(&fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?)
}

impl Credentials {
    /// Whether the mode of a file gives the process this access. Access lists beyond the mode are not looked at.
    pub fn may(&self, access: Access, file: &fs::Metadata) -> bool {
        let shift = match () {
            () if self.user == 0 => return true,
            () if self.user == file.uid() => 6,
            () if self.groups.contains(&file.gid()) => 3,
            () => 0,
        };
        file.permissions().mode() >> shift & access as u32 != 0
    }
}

/// The resident memory of a process in bytes, 0 where there is none.
///
/// uWSGI can tell it too, but reads it anew at each request for that, which halves how many it answers.
pub fn memory(pid: i32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|bytes| u64::try_from(bytes).ok());
    page.unwrap_or(0).saturating_mul(pages)
}

/// All processes that can be seen.
pub fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(process)
}

/// The children of a process.
pub fn children(parent: i32) -> Vec<Process> {
    processes().filter(|process| process.parent == parent).collect()
}

/// The children of a process that still run, and theirs, and so on.
pub fn descendants(ancestor: i32) -> Vec<Process> {
    // One that has ended, and that nobody has asked for, has no title any more.
    let mut others: Vec<Process> = processes().filter(|process| !process.title.is_empty()).collect();
    let (mut found, mut parents) = (Vec::new(), vec![ancestor]);
    while let Some(parent) = parents.pop() {
        let children: Vec<Process> = others.extract_if(.., |process| process.parent == parent).collect();
        parents.extend(children.iter().map(|process| process.pid));
        found.extend(children);
    }
    found
}

/// The processes that share a lock of an open file, as those do that inherited it. They are this user's, or anybody's if
/// this user is root.
pub fn lockers(file: &Path) -> Vec<Process> {
    let Ok(file) = fs::canonicalize(file) else { return Vec::new() };
    let locks = |process: &Process| {
        let directory = Path::new("/proc").join(process.pid.to_string());
        let descriptors = fs::read_dir(directory.join("fd")).into_iter().flatten().flatten();
        let mut here = descriptors.filter(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|path| path == file));
        here.any(|descriptor| {
            let info = fs::read_to_string(directory.join("fdinfo").join(descriptor.file_name()));
            info.is_ok_and(|info| info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK")))
        })
    };
    processes().filter(locks).collect()
}

/// What the kernel knows of a unix socket by its path, which is as the listener gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Sockets that listen there. There are none in sight where they belong to another network namespace.
    pub listeners: usize,
    /// Connections that wait for somebody to take them.
    pub waiting: usize,
    /// Connections that somebody has taken and not closed.
    pub taken: usize,
}

/// The connections at a unix socket.
pub fn connections(socket: &Path) -> Connections {
    count(&read_unix(), socket)
}

/// Which of these processes, which are this user's, hold a connection that they have taken at a unix socket.
pub fn holders(socket: &Path, pids: &[i32]) -> Vec<i32> {
    let table = read_unix();
    let taken: Vec<String> =
        rows(&table, socket).filter(|row| row[5] == TAKEN).map(|row| format!("socket:[{}]", row[6])).collect();
    let holds = |pid: &i32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        targets.any(|target| taken.iter().any(|socket| target == Path::new(socket)))
    };
    pids.iter().copied().filter(holds).collect()
}

/// The state of a connection that somebody has taken.
const TAKEN: &str = "03";

fn count(table: &str, socket: &Path) -> Connections {
    let mut seen = Connections::default();
    for row in rows(table, socket) {
        // The kernel's states: unconnected, connecting until it is accepted, connected.
        match row[5] {
            "01" => seen.listeners += 1,
            "02" => seen.waiting += 1,
            TAKEN => seen.taken += 1,
            _ => {}
        }
    }
    seen
}

fn read_unix() -> String {
    String::from_utf8_lossy(&fs::read("/proc/net/unix").unwrap_or_default()).into_owned()
}

/// The rows of `/proc/net/unix` that are of a path: address, references, protocol, flags, type, state, inode, path.
fn rows<'t>(table: &'t str, socket: &Path) -> impl Iterator<Item = Vec<&'t str>> {
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(move |fields| fields.get(7).is_some_and(|path| Path::new(path) == socket))
}

/// Parent, group and start time; the name before them is in parentheses and may contain anything, parentheses included.
fn parse_stat(stat: &str) -> Option<(i32, i32, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// The effective ids stand second, after the real ones.
fn parse_status(status: &str) -> Option<Credentials> {
    let ids = |key: &str| -> Option<Vec<u32>> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().map(|id| id.parse().ok()).collect()
    };
    let mut groups = ids("Groups:")?;
    groups.push(*ids("Gid:")?.get(1)?);
    Some(Credentials { user: *ids("Uid:")?.get(1)?, groups })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    use nix::fcntl::{Flock, FlockArg};
    use proptest::prelude::*;

    use super::*;
    use crate::damaged::damaged;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            started: u64,
            stat in damaged("7 (a) b) S 3 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0"),
            status in damaged("Name:\tnginx\nUid:\t0\t33\t33\t33\nGid:\t0\t33\t33\t33\nGroups:\t33 1001 \n"),
            table in damaged("Num RefCount Protocol Flags Type St Inode Path\n\
                              0: 00000002 00000000 00010000 0001 01 4711 /run/x.sock\n"),
        ) {
            Process { pid: 1, parent: 0, group: 1, started, title: String::new() }.started_at();
            parse_stat(&stat);
            parse_status(&status);
            count(&table, Path::new("/run/x.sock"));
        }
    }

    #[test]
    fn a_process_finds_itself_among_its_parents_children() {
        let own = process(std::process::id() as i32).unwrap();
        assert!(children(own.parent).contains(&own));
        assert_eq!(process(0), None);
    }

    #[test]
    fn who_has_inherited_a_lock_is_told_from_who_only_reads_the_file() {
        let path = fs::canonicalize(std::env::temp_dir()).unwrap().join(format!("builds-lock-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        let reader = fs::File::open(&path).unwrap();
        let run = |file: fs::File| Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
        let mut others = run(reader);
        let lock = Flock::lock(file.try_clone().unwrap(), FlockArg::LockShared).unwrap();
        let mut heir = run(file);
        let pids: Vec<i32> = lockers(&path).iter().map(|process| process.pid).collect();
        drop(lock);
        let after = lockers(&path);
        for child in [&mut others, &mut heir] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        fs::remove_file(&path).unwrap();
        let own = std::process::id() as i32;
        assert_eq!(pids.into_iter().filter(|&pid| pid != own).collect::<Vec<_>>(), [heir.id() as i32]);
        assert_eq!(after, [], "who goes on after its command has ended in good order keeps no lock");
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = format!("7 (a) b) S 3 5 {} 99 rest", "0 ".repeat(16).trim());
        assert_eq!(parse_stat(&stat), Some((3, 5, 99)));
    }

    #[test]
    fn connections_wait_until_they_are_taken() {
        let path = std::env::temp_dir().join(format!("builds-procfs-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let connections = [(); 2].map(|()| UnixStream::connect(&path).unwrap());
        assert_eq!(super::connections(&path), Connections { listeners: 1, waiting: 2, taken: 0 });
        let taken = listener.accept().unwrap();
        assert_eq!(super::connections(&path), Connections { listeners: 1, waiting: 1, taken: 1 });
        drop((taken, connections));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_status_tells_user_and_groups() {
        let status = "Name:\tnginx\nUid:\t0\t33\t33\t33\nGid:\t0\t33\t33\t33\nGroups:\t33 1001 \n";
        let expected = Credentials { user: 33, groups: vec![33, 1001, 33] };
        assert_eq!(parse_status(status), Some(expected));
        assert!(credentials(std::process::id() as i32).is_some());
    }

    #[test]
    fn the_mode_decides_for_owner_group_and_others() {
        let file = tempfile(0o750);
        let data = fs::metadata(&file).unwrap();
        fs::remove_dir(&file).unwrap();
        let of = |user, group| Credentials { user, groups: vec![group] };
        let (owner, group) = (data.uid(), data.gid());
        assert!(of(owner, group + 1).may(Access::Write, &data));
        assert!(of(owner + 1, group).may(Access::Pass, &data));
        assert!(!of(owner + 1, group).may(Access::Write, &data));
        assert!(!of(owner + 1, group + 1).may(Access::Pass, &data));
    }

    fn tempfile(mode: u32) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("builds-procfs-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}
