//! What somebody is told who does not know a command, or mistypes one.

use crate::site::Site;

/// All commands, as `--help` lists them.
fn verbs(site: &Site) -> Vec<String> {
    let help = site.ok(&["--help"]);
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let lines = commands.lines().filter(|line| !line.starts_with("   "));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn the_help_of_each_command_has_an_example_of_it() {
    let site = Site::new("plain", "");
    let verbs = verbs(&site);
    assert!(verbs.len() > 25, "{verbs:?}");
    for verb in verbs {
        let help = site.ok(&[&verb, "--help"]);
        let (_, example) = help.split_once("\nExample: ").unwrap_or_else(|| panic!("builds {verb}: {help}"));
        assert!(example.lines().next().unwrap().contains(&format!("builds {verb}")), "{help}");
    }
}

#[test]
fn a_slip_is_answered_with_what_was_probably_meant() {
    let site = Site::new("plain", "");
    for build in ["a", "b"] {
        site.write(&format!("deploy/builds/{build}/build.json"), "");
    }
    for (typed, meant) in [
        (&["depoly"][..], "'deploy'"),
        (&["swap"], "'swap-live'"),
        (&["prune", "--explian"], "'--explain'"),
        (&["stage", "bb"], "next: did you mean b? builds list shows the builds"),
        (&["rm", "ab"], "next: did you mean a or b? builds list shows the builds"),
        (&["activate", "lvie"], "next: did you mean live? builds list shows the builds"),
        (&["activate", "q"], "next: builds list shows the builds"),
    ] {
        let said = site.fails(2, typed);
        assert!(said.contains(meant), "{typed:?}: {said}");
    }
    site.configure("\n[keep]\nbuild = 3\n");
    assert!(site.fails(2, &["list"]).contains("next: write builds in the section [keep]"));
}
