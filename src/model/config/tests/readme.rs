//! The defaults that the README tells are those that a file without the keys gives.

use super::good;

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_readme_tells_every_default() {
    let mut text = String::new();
    let reference = README.split_once("\n## Configuration\n").unwrap().1.split_once("\n## ").unwrap().0;
    for line in reference.lines() {
        if line.starts_with("### [") {
            text += &format!("{}\n", &line[4..]);
        } else if let [_, key, default, _, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..]
            && let Some(default) = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'))
        {
            text += &format!("{} = {default}\n", key.trim_matches('`'));
        }
    }
    assert!(text.lines().count() > 30, "{text}");
    let mut told = good(&text);
    told.lines.clear();
    assert_eq!(told, good(""));
}
