//! The README says what is so: its examples run and print what it shows, its tables name all that there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::output::FIELDS;
use crate::site::{Site, fixtures};

/// Stands before the exit code in the output of a block's script.
const MARK: char = '\u{1}';

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// A command of a block, with the exit code and the lines that the README shows below it.
#[derive(Debug)]
struct Example {
    command: String,
    code: i32,
    shown: Vec<String>,
}

/// The examples of all blocks below `<!-- tested: KIND -->`, with the paths and ports of a site in place of the README's.
fn examples(kind: &str, site: &Site) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in readme().split(&format!("<!-- tested: {kind} -->\n```console\n")).skip(1) {
        for line in block.lines().take_while(|&line| line != "```") {
            let line = localized(line, site);
            if let Some(command) = line.strip_prefix("$ ") {
                examples.push(Example { command: command.to_owned(), code: 0, shown: Vec::new() });
                continue;
            }
            let example = examples.last_mut().expect("a block begins with a command");
            match line.strip_prefix("# exits with ") {
                Some(code) => example.code = code.parse().unwrap(),
                None => example.shown.push(line),
            }
        }
    }
    assert!(!examples.is_empty(), "the README has no block of {kind}");
    examples
}

fn localized(line: &str, site: &Site) -> String {
    let own = |number: &str| match number {
        "8080" => site.live_port().to_string(),
        "8081" => site.stage_port().to_string(),
        "2000" => site.port("a").to_string(),
        "2010" => site.port("b").to_string(),
        "2020" => site.port("c").to_string(),
        other => other.to_owned(),
    };
    // Number by number: a port of the site may look like one of the README.
    let numbers = line.split_inclusive(|letter: char| !letter.is_ascii_digit()).map(|piece| {
        let digits = piece.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        own(digits) + &piece[digits.len()..]
    });
    numbers.collect::<String>().replace("/srv/shop", &site.dir.display().to_string())
}

/// Types all commands into one shell, as a reader does, and checks what each of them says.
fn play(kind: &str, site: &Site) {
    let examples = examples(kind, site);
    let script: String =
        examples.iter().map(|example| format!("{}\nprintf '{MARK}%s\\n' $?\n", example.command)).collect();
    let path = format!("{}:{}", Path::new(&site.caller[0]).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{script}")]).env("PATH", path).current_dir(&site.dir).stdin(Stdio::null());
    let output = String::from_utf8(shell.output().unwrap().stdout).unwrap();

    let mut rest = output.as_str();
    for Example { command, code, shown } in examples {
        let (said, after) = rest.split_once(MARK).unwrap_or_else(|| panic!("$ {command}\n{rest}"));
        let (exit, after) = after.split_once('\n').unwrap();
        assert_eq!(exit, code.to_string(), "$ {command}\n{said}");
        let mut lines = said.lines();
        for wanted in shown {
            assert!(
                lines.any(|line| fits(line, &wanted)),
                "$ {command}\n{said}\ndoes not say, in this order: {wanted}"
            );
        }
        rest = after;
    }
}

/// Whether a line is the one that the README shows, in which `…` stands for anything and blanks are one.
fn fits(line: &str, wanted: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, wanted) = (words(line), words(wanted));
    let parts: Vec<&str> = wanted.split('…').map(str::trim).collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    if parts.len() == 1 {
        return line == wanted;
    }
    let mut rest = line.as_str();
    line.starts_with(first)
        && line.ends_with(last)
        && parts.iter().all(|part| rest.find(part).map(|at| rest = &rest[at + part.len()..]).is_some())
}

#[test]
fn shown_lines_are_compared_in_full_but_for_what_is_left_open() {
    for (line, wanted) in
        [("a  b", "a b"), ("a 1 b 2 c", "a … b … c"), ("{\"build\": \"a\", 3}", "{\"build\": \"a\", …}")]
    {
        assert!(fits(line, wanted), "{line} {wanted}");
    }
    for (line, wanted) in [("a b c", "a b"), ("a 1 c", "a … b"), ("x a 1", "a …"), ("a c b", "a … b … c")] {
        assert!(!fits(line, wanted), "{line} {wanted}");
    }
}

/// A site of the demo's source, which is part of this repository, with nothing created yet.
fn demo() -> Site {
    let source = fixtures().join("demo");
    let init = "[init]\ncommands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]\n";
    Site::up("plain", &format!("source = {source:?}\n\n{init}"))
}

#[test]
fn the_transcript_on_top_is_real() {
    play("demo", &demo());
}

#[test]
fn the_days_of_a_site_are_as_they_are_told() {
    play("site", &demo());
}

#[test]
fn a_deploy_with_a_bad_release_in_it_goes_as_it_is_told() {
    let pages = "[warmup]\npaths = [\"/\", { path = \"/guestbook/\", contains = \"Guestbook\" }]\n";
    let init = "[init]\ncommands = [[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]]\n";
    let site = Site::ready("demo", &format!("\n{init}\n{pages}\n[watch]\nseconds = 3\n"));
    play("release", &site);
}

#[test]
fn a_first_init_writes_the_configuration_that_is_shown() {
    let site = Site::new("plain", "");
    fs::remove_file(site.dir.join("builds.toml")).unwrap();
    site.write("manage.py", "");
    site.write("requirements.txt", "");
    play("new", &site);
    assert!(site.read("builds.toml").contains("module = \"wsgi:application\""));
    site.ok(&["port", "a"]);
}

#[test]
fn every_transcript_is_tested() {
    let text = readme();
    let lines: Vec<&str> = text.lines().collect();
    for (number, _) in lines.iter().enumerate().filter(|(_, line)| **line == "```console") {
        assert!(lines[number - 1].starts_with("<!-- tested: "), "README.md line {}", number + 1);
    }
}

/// The rows of the table that follows a text, without its head: the cells of each.
fn table(after: &str) -> Vec<Vec<String>> {
    let text = readme();
    let (_, rest) = text.split_once(&format!("{after}\n")).unwrap_or_else(|| panic!("the README has no {after:?}"));
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| -> Vec<String> {
        let row = row.replace("\\|", "\u{2}");
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{2}', "|")).collect()
    };
    rows.map(cells).collect()
}

/// What stands in backticks in a text.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_verb_and_its_options_are_in_the_table_and_in_the_help() {
    let site = Site::new("plain", "");
    let help = site.ok(&["--help"]);
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let verbs =
        commands.lines().filter(|line| !line.starts_with("   ")).map(|line| line.trim().split(' ').next().unwrap());
    let table = table("<!-- verbs -->");
    let typed: Vec<Vec<&str>> = table.iter().map(|row| code(&row[0])[0].split([' ', '[', ']']).collect()).collect();
    assert_eq!(typed.iter().map(|words| words[1]).collect::<Vec<_>>(), verbs.collect::<Vec<_>>());

    let of_every_command = ["--config", "--json", "--quiet", "--verbose", "--wait", "--help"];
    for words in typed {
        let help = site.ok(&[words[1], "--help"]);
        // Examples quote them.
        let options = help.split_whitespace().map(|word| word.trim_end_matches([',', ')', '"', '.']));
        let options =
            options.filter(|word| word.starts_with("--") && word.len() > 2 && !of_every_command.contains(word));
        let told = words.iter().map(|&word| match word {
            "-c" => "--concurrency",
            "-f" => "--follow",
            other => other,
        });
        let told: BTreeSet<&str> = told.filter(|word| word.starts_with("--") && word.len() > 2).collect();
        assert_eq!(told, options.collect(), "builds {}", words[1]);
    }
}

#[test]
fn the_fields_of_every_document_are_in_the_table() {
    let table = table("<!-- json -->");
    let told = table.iter().map(|row| {
        let mut fields = code(row[1].split(';').next().unwrap());
        fields.push("command");
        fields.sort_unstable();
        (code(&row[0])[0].to_owned(), fields.join(" "))
    });
    let real = FIELDS.iter().map(|(args, fields)| (args[0].to_owned(), (*fields).to_owned()));
    assert_eq!(told.collect::<BTreeSet<_>>(), real.collect());
}

/// What an unknown key or section is told to be replaced by.
fn known(site: &Site, config: &str) -> String {
    site.write("builds.toml", config);
    site.json(&["port", "a"])["error"]["next"].as_str().unwrap().to_owned()
}

#[test]
fn every_key_is_in_the_reference_and_its_default_is_one() {
    let site = Site::new("plain", "");
    let sections: Vec<String> =
        readme().lines().filter_map(|line| Some(line.strip_prefix("### [")?.strip_suffix(']')?.to_owned())).collect();
    assert_eq!(known(&site, "[q]\n"), format!("delete it, or write one of these: [{}]", sections.join("], [")));
    let mut defaults = String::new();
    for section in sections.iter().filter(|section| *section != "env") {
        let rows = table(&format!("### [{section}]"));
        let keys: Vec<&str> = rows.iter().map(|row| code(&row[0])[0]).collect();
        let next = known(&site, &format!("[{section}]\nq = 1\n"));
        assert_eq!(next, format!("delete it, or write one of these: {}", keys.join(", ")), "{section}");
        defaults += &format!("[{section}]\n");
        for row in &rows {
            if let Some(default) = row[1].strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                defaults += &format!("{} = {default}\n", code(&row[0])[0]);
            }
        }
    }
    site.write("builds.toml", &defaults);
    assert_eq!(site.ok(&["port", "a"]), "2000\n", "{defaults}");
    for row in table("### [env]") {
        let name = code(&row[0])[0].to_owned();
        site.write("builds.toml", &format!("[env]\n{name} = \"x\"\n"));
        let said = site.fails(2, &["port", "a"]);
        assert!(said.contains("builds sets this variable itself"), "{name}: {said}");
    }
}

#[test]
fn every_crate_and_every_file_that_is_named_exists() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cargo = fs::read_to_string(manifest.join("Cargo.toml")).unwrap();
    let dependencies = cargo.split("\n[").filter(|section| section.contains("dependencies]\n"));
    let crates = dependencies.flat_map(|section| section.lines().filter_map(|line| Some(line.split_once(" = ")?.0)));
    let table = table("## Dependencies");
    assert_eq!(table.iter().map(|row| code(&row[0])[0]).collect::<BTreeSet<_>>(), crates.collect());

    let text = readme();
    let outside_blocks: String = text.split("\n```").step_by(2).collect();
    let named = code(&outside_blocks);
    let paths = named.iter().filter(|word| ["src/", "skel/", "tests/", ".ci/"].iter().any(|top| word.starts_with(top)));
    for path in paths.filter(|path| !path.contains(|letter: char| letter.is_ascii_uppercase())) {
        assert!(manifest.join(path).exists(), "{path}");
    }
}
