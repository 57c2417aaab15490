use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::Cli;
use super::status::{age, bad, role};
use crate::error::Result;
use crate::model::layout::Role;
use crate::model::manifest::Bad;
use crate::model::name::BuildName;
use crate::report::Done;
use crate::system::files;

/// Takes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example: builds list")]
pub struct Arguments {}

#[derive(Serialize)]
struct Row {
    build: BuildName,
    role: Option<&'static str>,
    tag: Option<String>,
    created: Option<u64>,
    bad: Option<Bad>,
}

pub fn run(_: &Arguments, cli: &Cli) -> Result<Done> {
    let site = cli.site()?;
    let names = site.names_or_warning();
    let mut rows = Vec::new();
    for name in site.builds()? {
        let manifest = site.manifest(name)?;
        rows.push(Row {
            build: name,
            role: names.role(name).map(role),
            tag: manifest.as_ref().map(|manifest| manifest.tag.to_string()),
            created: manifest.as_ref().map(|manifest| manifest.created),
            bad: manifest.and_then(|manifest| manifest.bad),
        });
    }
    let mut text = String::new();
    for row in &rows {
        let (role, tag) = (row.role.unwrap_or("-"), row.tag.as_deref().unwrap_or("-"));
        let age = row.created.map_or_else(|| "-".into(), |created| age(files::now(), created));
        let bad = bad(row.bad.as_ref());
        writeln!(text, "{:<6} {role:<6} {age:>5}  {tag}{bad}", row.build).unwrap_or_default();
    }
    Ok(Done::looked(text).with("live", names.holder(Role::Live)).with("stage", names.stage).with("builds", rows))
}
