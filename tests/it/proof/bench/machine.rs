//! What the figures were measured on, and with.

use std::fs;
use std::process::Command;

use serde_json::{Map, Value};

use crate::helpers::shell;
use crate::site::binary;

/// The machine and the programs, in the order in which they are told.
pub fn describe() -> Map<String, Value> {
    let version = |program: &str, option: &str| {
        let output = Command::new(program).arg(option).output().unwrap();
        // nginx tells it on standard error.
        let text = String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout });
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let details = [
        ("processor", after("/proc/cpuinfo", "model name")),
        ("cores", std::thread::available_parallelism().map_or_else(|_| "?".into(), |cores| cores.to_string())),
        ("memory", after("/proc/meminfo", "MemTotal")),
        ("kernel", shell(Command::new("uname").arg("-srm"))),
        ("distribution", after("/etc/os-release", "PRETTY_NAME").trim_matches('"').to_owned()),
        ("file system", file_system()),
        ("builds", tool()),
        ("nginx", version("nginx", "-v")),
        ("uwsgi", version("uwsgi", "--version")),
        ("python", version(&super::shop::interpreter(), "--version")),
        ("uv", super::shop::uv_version()),
        ("node", version("node", "--version")),
        ("npm", version("npm", "--version")),
        ("rsync", version("rsync", "--version")),
        ("cp", version("cp", "--version")),
    ];
    details.into_iter().map(|(what, value)| (what.to_owned(), Value::String(value))).collect()
}

/// The time of now, as people write it.
pub fn date() -> String {
    shell(Command::new("date").arg("--iso-8601=seconds"))
}

/// What stands after a word in a file of `KEY: VALUE` or `KEY=VALUE`.
fn after(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("?");
    line.trim_start_matches([' ', '\t', ':', '=']).to_owned()
}

/// Where the sites of all rows are that have no file system of their own.
fn file_system() -> String {
    shell(Command::new("findmnt").args(["-no", "FSTYPE", "--target"]).arg(std::env::temp_dir()))
}

/// Its version; a build for debugging is told, as its figures would say nothing.
fn tool() -> String {
    let kind = if binary().contains("/debug/") { ", built for debugging: its figures say nothing" } else { "" };
    shell(Command::new(binary()).arg("--version")) + kind
}
