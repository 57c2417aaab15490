//! uWSGI: the skeletons, and the emperors that run.

use std::path::Path;

use super::{Finding, failed, notice, problem};
use crate::serve::conf::{self, Edited};
use crate::serve::emperor::Emperor;
use crate::site::Site;

/// What `builds` needs of the options of uWSGI's files: where, which, and what happens without.
const RELIED_ON: [(&[&str], &str, &str); 19] = [
    (EMPERORS, "emperor", "it runs no builds"),
    (EMPERORS, "emperor-stats", "commands can neither ask nor wake it"),
    (EMPERORS, "emperor-wrapper", "a build has neither its environment nor its own uWSGI"),
    (EMPERORS, "emperor-nofollow", "an edit of a skeleton restarts all builds, the live one too"),
    (EMPERORS, "emperor-no-blacklist", "a build that ends may stay away for minutes"),
    (EMPERORS, "master", "nothing starts it again when it dies"),
    (EMPERORS, "die-on-term", "it restarts at SIGTERM, and does not stop"),
    (VASSAL, "chmod-socket", "others may run code as this user, or nginx may not ask"),
    (VASSAL, "zerg-server", "workers cannot attach"),
    (VASSAL, "http", "nothing answers at its port"),
    (VASSAL, "http-to", "its port knows nothing of a restart"),
    (BUILDS, "stats", "commands do not know how it is"),
    (BUILDS, "master", "nothing starts its processes again when they die"),
    (ZERG, "zerg", "it has no requests to answer"),
    (ZERG, "zerg-server", "a vassal that is killed takes the build's sockets with it"),
    (ZERG, "no-orphans", "workers whose master was killed go on for ever"),
    (ZERG, "master-fifo", "stopping its workers cuts their requests"),
    (ZERG, "need-app", "an application that does not load answers with errors"),
    (ZERG, "add-header", "nginx cannot note which build has answered"),
];
const EMPERORS: &[&str] = &["vassals.ini", "zergs.ini"];
const BUILDS: &[&str] = &["vassal.skel", "zerg.skel"];
const VASSAL: &[&str] = &["vassal.skel"];
const ZERG: &[&str] = &["zerg.skel"];

/// The files of `conf/` that are not as shipped.
pub(super) fn skeletons(site: &Site) -> Vec<Finding> {
    if !site.layout.conf().is_dir() {
        return vec![problem(format!("{} is not written yet", site.layout.conf().display()), "builds init")];
    }
    match conf::edited(site) {
        Ok(edited) => edited.iter().flat_map(|file| differences(site, file)).collect(),
        Err(error) => vec![failed(&error)],
    }
}

fn differences(site: &Site, file: &Edited) -> Vec<Finding> {
    let path = site.layout.conf().join(file.path);
    if !path.exists() {
        return vec![problem(format!("{} is missing", path.display()), "builds init writes it")];
    }
    let lines =
        |sign: char, lines: &[String]| lines.iter().map(|line| format!("\n        {sign} {line}")).collect::<String>();
    let difference = lines('-', &file.missing) + &lines('+', &file.added);
    let edit = notice(
        format!("{} differs from the shipped one:{difference}", path.display()),
        "leave it if you meant it; remove it and run builds init for the shipped one",
    );
    [edit].into_iter().chain(lacks(&path, file)).collect()
}

/// The options that `builds` relies on and that an edit has taken away or given another value.
fn lacks(path: &Path, file: &Edited) -> Vec<Finding> {
    let has = |option: &(&str, &str)| file.added.iter().any(|line| parsed(line).as_ref() == Some(option));
    let missing = file.missing.iter().filter_map(|line| parsed(line)).filter(|option| !has(option));
    let lacks = missing.filter_map(|(key, value)| {
        let relied_on = RELIED_ON.iter().find(|(files, option, _)| files.contains(&file.path) && *option == key);
        let harm = relied_on.map(|(_, _, harm)| harm)?;
        let then = if EMPERORS.contains(&file.path) {
            "then start that emperor again"
        } else {
            "for builds that start from then on"
        };
        Some(problem(
            format!("{} lacks `{key} = {value}`: without it {harm}", path.display()),
            format!("put the line back, {then}"),
        ))
    });
    lacks.collect()
}

/// Key and value of a line of an ini file.
fn parsed(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim())).filter(|(key, _)| !key.starts_with([';', '#']))
}

/// Whether both emperors are there.
pub(super) fn emperors(site: &Site) -> Vec<Finding> {
    let checks = [Emperor::Vassals, Emperor::Zergs].map(|emperor| emperor.check(site));
    let troubles = checks.into_iter().filter_map(Result::err);
    troubles.map(|trouble| failed(&trouble.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_relied_on_is_shipped() {
        let shipped = |file: &str| match file {
            "vassals.ini" => include_str!("../../../skel/conf/vassals.ini"),
            "zergs.ini" => include_str!("../../../skel/conf/zergs.ini"),
            "vassal.skel" => include_str!("../../../skel/conf/vassal.skel"),
            _ => include_str!("../../../skel/conf/zerg.skel"),
        };
        for (files, option, _) in RELIED_ON {
            for file in files {
                let has = shipped(file).lines().filter_map(parsed).any(|(key, _)| key == option);
                assert!(has, "{file}: {option}");
            }
        }
    }
}
