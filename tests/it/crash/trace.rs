//! Which system calls of a command change the file system, and a run in which one of them kills it or fails.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::process::Command;

use super::cases::Case;
use crate::site::{Said, Site};

/// The calls that can change what lies on a disk. Those that only sync change what a power cut leaves.
const SET: &str = "openat,open,creat,write,pwrite64,writev,ftruncate,truncate,fallocate,copy_file_range,sendfile,ioctl,\
    mkdir,mkdirat,mknod,mknodat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
    chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utimensat,fsync,fdatasync,syncfs,sync_file_range";

/// One system call of a run: its name, and which of its name it is. strace counts each name apart, and can be told to
/// count only those on one path: how often a command opens and writes other files, be it to wake its own threads, is chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub number: usize,
    /// The path that it is counted by, where that has a name which is the same in each run.
    pub path: Option<String>,
    /// How many before it look the same.
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

/// Lists the calls of a complete run, of the tool's own thread alone: the programs that it runs are not its code, and its
/// other threads only wait.
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
    let path = call.path.iter().flat_map(|path| ["-P".to_owned(), path.clone()]);
    let options: Vec<String> = options.map(str::to_owned).into_iter().chain(path).collect();
    let said = strace(site, &options, case);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let start = format!("{}(", call.name);
    let like = |line: &&str| shape(line) == shape(&call.line);
    let calls: Vec<&str> = text.lines().filter(|line| line.starts_with(&start)).collect();
    match calls.iter().enumerate().filter(|(_, line)| like(line)).nth(call.twins) {
        Some((at, _)) if at + 1 == number => Ok(said),
        Some((at, _)) => Err(at + 1),
        None => Err(number + 1),
    }
}

/// A call without its result, process ids and times, nor what it writes, which has times in it.
fn shape(line: &str) -> String {
    let call = line.rsplit_once(" = ").map_or(line, |(call, _)| call).trim_end();
    let call = if call.starts_with("write(") { call.split(", \"").next().unwrap_or(call) } else { call };
    call.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

fn strace(site: &Site, options: &[String], case: &Case) -> Said {
    let mut command = Command::new("strace");
    let under = case.under.into_iter().flat_map(|fault| ["-e", fault]);
    command.args(options).args(under).args(&site.caller).args(case.args).current_dir(&site.dir);
    command.output().unwrap().into()
}

/// The calls that changed something below a directory, with their numbers among all of their names.
fn changing(text: &str, dir: &str, by_path: bool) -> Vec<Call> {
    let mut seen: HashMap<_, usize> = HashMap::new();
    let mut calls = Vec::new();
    let mut shapes = HashMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        let paths = paths(line);
        let distinct: HashSet<&String> = paths.iter().collect();
        for key in distinct.into_iter().map(|path| Some(path.clone())).chain([None]) {
            *seen.entry((name, key)).or_default() += 1;
        }
        // strace would follow a link to what it leads to, and count that, too.
        let steady = |path: &&String| {
            by_path && path.starts_with(dir) && ![".tmp", "_live", "_stage"].iter().any(|end| path.ends_with(end))
        };
        let path = paths.first().filter(steady).cloned();
        let number = seen[&(name, path.clone())];
        let twins = shapes.entry(shape(line)).and_modify(|count| *count += 1).or_insert(0);
        let opens = ["open", "openat"].contains(&name);
        let writes = ["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"].iter().any(|flag| rest.contains(flag));
        let done = !rest.contains(") = -1 ");
        if done && rest.contains(dir) && (!opens || writes) && (name != "ioctl" || rest.contains("FICLONE")) {
            calls.push(Call { name: name.to_owned(), number, path, twins: *twins, line: line.to_owned() });
        }
    }
    calls
}

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
