//! Which system calls of a command change the file system, and a run in which one of them kills it or fails.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::process::Command;

use super::cases::Case;
use crate::site::{Said, Site};

/// The calls that can change what lies on a disk. Those that only sync change what a power cut leaves.
const SET: &str = "openat,open,creat,write,pwrite64,writev,ftruncate,truncate,fallocate,copy_file_range,sendfile,ioctl,\
    mkdir,mkdirat,mknod,mknodat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
    chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utimensat,fsync,fdatasync,syncfs,sync_file_range";

/// One system call of a run: its name, and which of its name it is in its thread. strace counts each name and each thread
/// apart, and can be told to count only those on one path: how often a command opens and writes other files, be it to wake
/// its own threads, is chance, and so is which thread does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub number: usize,
    /// The thread, by its id in this run.
    pub thread: u32,
    /// The path that it is counted by, where that has a name which is the same in each run.
    pub path: Option<String>,
    /// How many of its thread before it look the same.
    pub twins: usize,
    /// The call as strace prints it.
    pub line: String,
}

/// What happens to a command at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It is killed before the call does anything.
    Kill,
    /// The call fails with this error.
    Fail(&'static str),
}

/// Lists the calls of a complete run in the order in which they ended, of all the tool's threads, but not of the programs
/// that it runs, which are not its code.
pub fn calls(site: &Site, case: &Case) -> (Said, Vec<Call>) {
    let file = site.dir.with_extension("trace");
    let trace = ["-y", "-s", "4096", "-o", file.to_str().unwrap(), "-e", &format!("trace={SET}")].map(str::to_owned);
    let said = strace(site, &trace, case);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    (said, changing(&text, &site.dir.display().to_string(), case.under.is_none()))
}

/// Runs a command that gets a blow at a call, as its number `number`; if another of the name got it, the number to try
/// next.
pub fn strike(site: &Site, case: &Case, (call, number): (&Call, usize), blow: Blow) -> Result<Said, usize> {
    let what = match blow {
        Blow::Kill => "signal=KILL".to_owned(),
        Blow::Fail(errno) => format!("error={errno}"),
    };
    let (inject, trace) =
        (format!("inject={}:{what}:when={number}", call.name), format!("trace={},renameat2", call.name));
    let file = site.dir.with_extension("trace");
    let options = ["-y", "-s", "4096", "-o", file.to_str().unwrap(), "-e", &trace, "-e", &inject];
    let path = call.path.iter().flat_map(|path| possible(path)).flat_map(|path| ["-P".to_owned(), path]);
    let options: Vec<String> = options.map(str::to_owned).into_iter().chain(path).collect();
    let said = strace(site, &options, case);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut threads: HashMap<u32, Vec<Told>> = HashMap::new();
    let mut struck = None;
    for told in told(&text) {
        if told.line.split('(').next() == Some(&call.name) {
            let own = threads.entry(told.thread).or_default();
            own.push(told);
            // The first thread that comes so far.
            if own.len() == number && struck.is_none() {
                struck = Some(own[0].thread);
            }
        }
    }
    let place = |own: &Vec<Told>| {
        let mut like = own.iter().enumerate().filter(|(_, told)| shape(&told.line) == shape(&call.line));
        like.nth(call.twins).map(|(at, _)| at + 1)
    };
    match struck {
        Some(thread) if place(&threads[&thread]) == Some(number) => Ok(said),
        _ => Err(threads.values().filter_map(place).find(|other| *other != number).unwrap_or(number + 1)),
    }
}

/// What strace tells of a call, in one line though another thread's came in between.
struct Told {
    thread: u32,
    line: String,
}

/// All calls of a trace, in the order in which they ended; those that were never seen to end come last.
fn told(text: &str) -> Vec<Told> {
    let mut begun: VecDeque<Told> = VecDeque::new();
    let mut ended = Vec::new();
    for line in text.lines() {
        let Some((thread, line)) = line.split_once(' ') else { continue };
        let Ok(thread) = thread.parse() else { continue };
        let line = line.trim_start();
        if let Some(start) = line.strip_suffix("<unfinished ...>") {
            begun.push_back(Told { thread, line: start.trim_end().to_owned() });
        } else if let Some((_, rest)) = line.strip_prefix("<... ").and_then(|line| line.split_once(" resumed>")) {
            let at = begun.iter().position(|told| told.thread == thread);
            let start = at.and_then(|at| begun.remove(at)).map_or(String::new(), |told| told.line);
            ended.push(Told { thread, line: start + rest });
        } else {
            ended.push(Told { thread, line: line.to_owned() });
        }
    }
    ended.into_iter().chain(begun).collect()
}

/// A call without its result, process ids and times, nor what it writes, which has times in it.
fn shape(line: &str) -> String {
    let call = line.rsplit_once(" = ").map_or(line, |(call, _)| call).trim_end().trim_end_matches(')');
    let call = if call.starts_with("write(") { call.split(", \"").next().unwrap_or(call) } else { call };
    call.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

fn strace(site: &Site, options: &[String], case: &Case) -> Said {
    let mut command = Command::new("strace");
    let under = case.under.into_iter().flat_map(|fault| ["-e", fault]);
    // Threads are followed, and programs are let go as soon as they are some.
    command
        .args(["-f", "-b", "execve"])
        .args(options)
        .args(under)
        .args(&site.caller)
        .args(case.args)
        .current_dir(&site.dir);
    command.output().unwrap().into()
}

/// The calls that changed something below a directory, with their numbers among all of their names.
fn changing(text: &str, dir: &str, by_path: bool) -> Vec<Call> {
    let mut seen: HashMap<_, usize> = HashMap::new();
    let mut calls = Vec::new();
    let mut shapes = HashMap::new();
    for Told { thread, line } in &told(text) {
        let Some((name, rest)) = line.split_once('(') else { continue };
        let paths: Vec<String> = paths(line).into_iter().map(steady_name).collect();
        let distinct: HashSet<&String> = paths.iter().collect();
        for key in distinct.into_iter().map(|path| Some(path.clone())).chain([None]) {
            *seen.entry((*thread, name, key)).or_default() += 1;
        }
        // strace would follow a link to what it leads to, and count that, too.
        let steady = |path: &&String| {
            by_path && path.starts_with(dir) && !["_live", "_stage"].iter().any(|end| path.ends_with(end))
        };
        let path = paths.first().filter(steady).cloned();
        let number = seen[&(*thread, name, path.clone())];
        let twins = shapes.entry((*thread, shape(line))).and_modify(|count| *count += 1).or_insert(0);
        let opens = ["open", "openat"].contains(&name);
        let writes = ["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"].iter().any(|flag| rest.contains(flag));
        let done = !rest.contains(") = -1 ");
        if done && rest.contains(dir) && (!opens || writes) && (name != "ioctl" || rest.contains("FICLONE")) {
            let (name, line) = (name.to_owned(), line.clone());
            calls.push(Call { name, number, thread: *thread, path, twins: *twins, line });
        }
    }
    calls
}

/// The end of the name of a temporary file, behind the id of the process that writes it.
const TEMPORARY: &str = ".builds.tmp";

/// Stands for that id in a path.
const PID: &str = ".PID";

/// A path that is the same in each run.
fn steady_name(path: String) -> String {
    let temporary = path.strip_suffix(TEMPORARY).and_then(|path| path.rsplit_once('.'));
    temporary.map(|(stem, _)| format!("{stem}{PID}{TEMPORARY}")).unwrap_or(path)
}

/// What a path may be in the next run: the next process ids are near the last one.
fn possible(path: &str) -> Vec<String> {
    let Some(stem) = path.strip_suffix(TEMPORARY).and_then(|path| path.strip_suffix(PID)) else {
        return vec![path.to_owned()];
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let last: u32 = load.trim().rsplit_once(' ').unwrap().1.parse().unwrap();
    (last..last + NEAR).map(|pid| format!("{stem}.{pid}{TEMPORARY}")).collect()
}

/// So many processes may start on a busy machine before the command does.
const NEAR: u32 = 300;

/// The paths in a call: of descriptors, or in quotes.
pub fn paths(line: &str) -> Vec<String> {
    let parts: Vec<&str> = line.split(['"', '<', '>']).collect();
    let named = parts.windows(2).filter(|pair| pair[1].starts_with('/') && !pair[0].ends_with("AT_FDCWD"));
    named.map(|pair| pair[1].to_owned()).collect()
}

impl Call {
    /// Whether what a kill leaves differs before and after it.
    pub fn changes(&self) -> bool {
        !self.name.contains("sync")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}: {}", self.name, self.number, self.line)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("killed"),
            Self::Fail(errno) => write!(f, "{errno}"),
        }
    }
}
