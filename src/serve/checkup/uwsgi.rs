//! uWSGI: the skeletons, and the emperors that run.

use super::{Finding, failed, notice, problem};
use crate::serve::conf;
use crate::serve::emperor::Emperor;
use crate::site::Site;

pub(super) fn skeletons(site: &Site) -> Vec<Finding> {
    if !site.layout.conf().is_dir() {
        return vec![problem(format!("{} is not written yet", site.layout.conf().display()), "builds init")];
    }
    let edited = match conf::edited(site) {
        Ok(edited) => edited,
        Err(error) => return vec![failed(&error)],
    };
    let findings = edited.into_iter().map(|file| {
        let path = site.layout.conf().join(file.path);
        if !path.exists() {
            return problem(format!("{} is missing", path.display()), "builds init writes it");
        }
        let lines = |sign: char, lines: &[String]| {
            lines.iter().map(|line| format!("\n        {sign} {line}")).collect::<String>()
        };
        let difference = lines('-', &file.missing) + &lines('+', &file.added);
        notice(
            format!("{} differs from the shipped one:{difference}", path.display()),
            "leave it if you meant it; remove it and run builds init for the shipped one",
        )
    });
    findings.collect()
}

pub(super) fn emperors(site: &Site) -> Vec<Finding> {
    let checks = [Emperor::Vassals, Emperor::Zergs].map(|emperor| emperor.check(site));
    let troubles = checks.into_iter().filter_map(Result::err);
    troubles.map(|trouble| failed(&trouble.into())).collect()
}
