//! Which processes there are, as `/proc` tells.

use std::fs;
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
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// Its title, as `ps` shows it.
    pub title: String,
}

/// The process of this id, or `None` where there is none.
pub fn process(pid: i32) -> Option<Process> {
    let directory = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let (parent, started) = parse_stat(&stat)?;
    let title = fs::read(directory.join("cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).replace('\0', " ").trim().to_owned();
    Some(Process { pid, parent, started, title })
}

impl Process {
    /// When it started, by the clock of the machine.
    pub fn started_at(&self) -> Option<SystemTime> {
        let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let boot: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
        Some(UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(self.started * 1000 / ticks))
    }
}

/// The children of a process.
pub fn children(parent: i32) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .filter(|process| process.parent == parent)
        .collect()
}

/// Parent and start time; the name before them is in parentheses and may contain anything, parentheses included.
fn parse_stat(stat: &str) -> Option<(i32, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_itself_among_its_parents_children() {
        let own = process(std::process::id() as i32).unwrap();
        assert!(children(own.parent).contains(&own));
        assert_eq!(process(0), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = format!("7 (a) b) S 3 {} 99 rest", "0 ".repeat(17).trim());
        assert_eq!(parse_stat(&stat), Some((3, 99)));
    }
}
