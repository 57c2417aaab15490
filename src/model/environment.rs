//! The environment by which a build's programs learn their place.

use std::collections::BTreeMap;

use super::config::Config;
use super::layout::Layout;
use super::name::BuildName;
use super::tag::Tag;

/// The variables of a build, for each command that runs in it and for its workers.
pub fn variables(config: &Config, layout: &Layout, name: BuildName, tag: &Tag) -> BTreeMap<String, String> {
    let build = layout.build(name);
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let own = [
        ("BUILD_NAME", name.to_string()),
        ("BUILD_TAG", tag.to_string()),
        ("BUILD_DIR", text(build.dir())),
        ("STATIC_ROOT", text(&layout.static_of(name))),
        ("STATIC_URL", format!("/static/{name}/")),
        ("MEDIA_ROOT", text(&layout.media())),
        ("VIRTUAL_ENV", text(build.dir())),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
    config.env.iter().map(|(key, value)| (key.clone(), value.clone())).chain(own).collect()
}
