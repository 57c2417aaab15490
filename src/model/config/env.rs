//! The section `[env]`. Nothing here shows a value: it may be a secret.

use std::collections::BTreeMap;

use super::error::{Advice, Problem};
use super::kinds::{only, string};
use super::rule::Rule;
use super::section::Section;

/// Set by builds for every command and worker of a build, each with a value of that build.
const SET_BY_BUILDS: [&str; 9] = [
    "BUILD_NAME",
    "BUILD_TAG",
    "BUILD_DIR",
    "BUILD_URL",
    "STATIC_ROOT",
    "STATIC_URL",
    "MEDIA_ROOT",
    "PATH",
    "VIRTUAL_ENV",
];

pub(super) fn read(section: &mut Section) -> BTreeMap<String, String> {
    let value_kind = string("a string in quotes");
    let mut env = BTreeMap::new();
    for (name, value) in section.drain() {
        let key = name.get_ref().as_ref();
        if let Err((rule, write, example)) = check_name(key) {
            let advice = Advice { write, example: format!(r#"{example} = "…""#) };
            section.refuse_secret(key, name.span(), Problem::Value { rule, advice });
            continue;
        }
        match value_kind.read(&value) {
            Ok(value) => drop(env.insert(key.to_string(), value)),
            Err(flaw) => {
                let advice = Advice::new(value_kind.wanted(), key, r#""…""#);
                section.refuse_secret(key, flaw.at, flaw.fault.with(advice));
            }
        }
    }
    env
}

fn check_name(name: &str) -> Result<(), (Rule, String, String)> {
    if SET_BY_BUILDS.contains(&name) {
        let write = "a name that builds does not set, or delete the line".to_string();
        return Err((Rule::SetByBuilds, write, format!("SITE_{name}")));
    }
    let allowed = "letters, digits and _, and no digit in front";
    let named = match name.chars().next() {
        None => Err(Rule::Empty),
        Some(character @ '0'..='9') => Err(Rule::Character { character, allowed }),
        Some(_) => only(name, |c| c.is_ascii_alphanumeric() || c == '_', allowed).map(drop),
    };
    named.map_err(|rule| (rule, format!("a name of {allowed}"), "SITE_MODE".to_string()))
}
