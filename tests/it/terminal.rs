//! What a person sees on a terminal while a create or a deploy runs, and what is left in the end.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::helpers::{GATE, Gate, shell};
use crate::site::{Said, Site};

/// What a terminal shows in the end of what was written to it. Nothing but plain text and the two sequences that rows need
/// may come.
fn screen(written: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0, 0);
    let mut rest = written.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                let sequence: String = rest.by_ref().take_while(|letter| !letter.is_ascii_alphabetic()).collect();
                match sequence.strip_prefix('[').unwrap_or_else(|| panic!("{written:?}")) {
                    "" => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    up => row -= up.parse::<usize>().unwrap_or_else(|_| panic!("{written:?}")),
                }
            }
            letter => {
                assert!(!letter.is_control(), "{letter:?} in {written:?}");
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = letter;
                column += 1;
            }
        }
        lines.resize_with(lines.len().max(row + 1), Vec::new);
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>()).filter(|line| !line.is_empty()).collect()
}

/// The tool in a terminal of its own, for a minute at most.
fn in_terminal(site: &Site, kind: &str, columns: u16, args: &str) -> Command {
    let mut command = Command::new("timeout");
    let line = format!("tty > deploy/tty; stty rows 24 cols {columns}; exec {} {args}", site.caller[0]);
    command
        .args(["60", "script", "-qec", &line, "/dev/null"])
        .env("TERM", kind)
        .current_dir(&site.dir)
        .stdin(Stdio::null());
    command
}

/// Reads what a command in a terminal writes until it has written this, or to the end.
fn read_until(child: &mut Child, seen: Option<&str>) -> String {
    let (mut written, mut byte) = (Vec::new(), [0]);
    let terminal = child.stdout.as_mut().unwrap();
    while !seen.is_some_and(|seen| written.ends_with(seen.as_bytes())) && terminal.read(&mut byte).unwrap() == 1 {
        written.push(byte[0]);
    }
    String::from_utf8(written).unwrap()
}

/// The lines that are shown in the end, of which none is a row of something that still goes on.
#[track_caller]
fn only_lines(written: &str, others: &[&str]) -> Vec<String> {
    let shown = screen(written);
    let stays =
        |line: &String| line.ends_with(" s)") || others.iter().any(|start| line.trim_start().starts_with(start));
    assert!(shown.iter().all(stays), "{shown:#?}\n{written:?}");
    shown
}

#[test]
fn a_terminal_shows_rows_while_steps_run_and_only_lines_in_the_end() {
    let site = Site::up("plain", GATE);
    let gate = Gate::new(&site);
    let mut create = in_terminal(&site, "xterm", 80, "-v create a").stdout(Stdio::piped()).spawn().unwrap();
    let mut written = read_until(&mut create, Some("assets   1 s\r"));
    gate.open();
    written += &read_until(&mut create, None);
    assert!(create.wait().unwrap().success(), "{written:?}");
    let shown = only_lines(&written, &["run ", "total ", "build "]);
    let tail: Vec<&str> = shown.iter().rev().take(3).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(tail, ["build", "total", "listen"], "{shown:#?}");

    let said = Said::from(in_terminal(&site, "xterm", 12, "create b").output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    let mut rows = said.out.split(['\r', '\n', '\u{1b}']).filter(|row| !row.ends_with(')') && row.ends_with(" s"));
    assert!(rows.all(|row| row.len() < 12), "{said:?}");

    for (kind, args) in [("dumb", "create c"), ("xterm", "-q create d"), ("xterm", "--json create e")] {
        let said = Said::from(in_terminal(&site, kind, 80, args).output().unwrap());
        assert!(said.code == 0 && !said.out.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn rows_are_gone_after_ctrl_c_and_after_a_failure() {
    let site = Site::up("plain", GATE);
    let _gate = Gate::new(&site);
    let mut create = in_terminal(&site, "xterm", 80, "create a");
    let mut create = create.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut written = read_until(&mut create, Some("bytecode compiled"));
    written += &read_until(&mut create, Some("assets   0 s\r"));
    create.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    written += &read_until(&mut create, None);
    create.wait().unwrap();
    let shown = only_lines(&written, &["error: ", "why: ", "next: "]);
    assert!(shown.iter().any(|line| line.starts_with("error: ")), "{shown:#?}");

    site.configure("\n[assets]\ncommands = [[\"false\"]]\n");
    let said = Said::from(in_terminal(&site, "xterm", 80, "create b").output().unwrap());
    assert_eq!(said.code, 1, "{said:?}");
    let shown = only_lines(&said.out, &["error: ", "why: ", "next: "]);
    assert!(shown.iter().any(|line| line.starts_with("error: ")), "{shown:#?}");
}

/// The rows that were drawn last, without the lines above them.
fn rows(written: &str) -> Vec<&str> {
    let frame = written.rsplit("\u{1b}[J").next().unwrap();
    frame.split("\r\n").filter(|row| !row.is_empty() && !row.ends_with(" s)")).collect()
}

#[test]
fn a_deploy_shows_what_is_done_what_runs_and_what_is_still_to_come() {
    let site = Site::ready("plain", "");
    site.configure(GATE);
    let gate = Gate::new(&site);
    let mut deploy = in_terminal(&site, "xterm", 80, "deploy --tag v2").stdout(Stdio::piped()).spawn().unwrap();
    let mut written = read_until(&mut deploy, Some("  assets   1 s\r"));
    written += &read_until(&mut deploy, Some("retire   waits\r\n"));
    let shown = rows(&written);
    assert!(shown[0].starts_with("create   ") && shown[0].ends_with(" s"), "{shown:#?}");
    let waiting = ["migrate", "activate", "warm", "stage", "swap", "retire"].map(|step| format!("{step:<8} waits"));
    assert_eq!((shown[1], &shown[2..]), ("  assets   1 s", waiting.each_ref().map(String::as_str).as_slice()));

    // The window is made smaller.
    let terminal = site.read("deploy/tty");
    shell(Command::new("stty").args(["-F", terminal.trim(), "rows", "5", "cols", "12"]));
    written += &read_until(&mut deploy, Some("\r\nactivate wa\r\n"));
    let whole = read_until(&mut deploy, Some("\u{1b}[J"));
    let small = format!("{written}{}", whole.trim_end_matches("\u{1b}[J"));
    assert_eq!(rows(&small)[1..4], ["  assets   ", "migrate  wa", "activate wa"]);
    assert!(rows(&small)[4..].iter().all(|rest| rest.starts_with("\r\u{1b}")), "{:?}", rows(&small));
    written += &whole;
    shell(Command::new("stty").args(["-F", terminal.trim(), "rows", "24", "cols", "80"]));
    gate.open();
    written += &read_until(&mut deploy, None);
    assert!(deploy.wait().unwrap().success(), "{written:?}");
    let shown = only_lines(&written, &["total ", "200 ", "activate c is ready", "build "]);
    let first_words = |lines: &[String]| -> Vec<String> {
        let words = lines.iter().filter_map(|line| line.split_whitespace().next());
        words.filter(|word| *word != "200").map(str::to_owned).collect()
    };
    let expected = "listen total create migrate activate activate warm stage swap retire build";
    assert!(first_words(&shown).join(" ").ends_with(expected), "{shown:#?}");

    // Elsewhere these very lines are all.
    let said = site.run(&["deploy"]);
    assert!(said.code == 0 && !said.err.contains(['\r', '\u{1b}']), "{said:?}");
    let lines: Vec<String> = said.err.lines().map(str::to_owned).collect();
    assert!(first_words(&lines).join(" ").ends_with(expected.trim_end_matches(" build")), "{said:?}");
    let said = Said::from(in_terminal(&site, "xterm", 80, "--json deploy").output().unwrap());
    let events: Vec<&str> = said.out.lines().filter(|line| line.starts_with('{')).collect();
    assert!(events.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{said:?}");
    assert!(events.len() == 2 + 2 * 7 && !said.out.contains('\u{1b}'), "{said:?}");
}

#[test]
fn a_deploy_that_fails_leaves_no_row_and_whatever_programs_print_garbles_nothing() {
    let site = Site::ready("plain", "");
    let loud = r#"[["sh", "-c", "printf '\\033[2J\\033[31mred\\r50 percent\\a\\n' >&2; exit 3"]]"#;
    site.configure(&format!("\n[hooks]\nafter_create = {loud}\n\n[gates]\nbefore_stage = {loud}\n"));
    let said = Said::from(in_terminal(&site, "xterm", 80, "deploy").output().unwrap());
    assert_eq!(said.code, 5, "{said:?}");
    let shown =
        only_lines(&said.out, &["total ", "200 ", "activate c", "hook ", "hooks.", "error: ", "why: ", "next: "]);
    let has = |start: &str| shown.iter().any(|line| line.starts_with(start));
    assert!(
        has("hooks.after_create failed: ") && has("gates    failed (") && has("error: the deploy of c"),
        "{shown:#?}"
    );
    assert!(!has("stage ") && !has("swap ") && !has("undo "), "{shown:#?}");
    assert!(said.out.contains("undo     0 s"), "{said:?}");
    assert!(shown.iter().any(|line| line.starts_with("  why: ") && line.ends_with(": 50 percent")), "{shown:#?}");
}

#[test]
fn rows_of_a_deploy_are_gone_after_ctrl_c() {
    let site = Site::ready("plain", "");
    site.configure(GATE);
    let _gate = Gate::new(&site);
    let mut deploy = in_terminal(&site, "xterm", 80, "deploy");
    let mut deploy = deploy.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut written = read_until(&mut deploy, Some("  assets   1 s\r"));
    deploy.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    written += &read_until(&mut deploy, None);
    deploy.wait().unwrap();
    let shown = only_lines(&written, &["error: ", "why: ", "next: "]);
    let has = |start: &str| shown.iter().any(|line| line.starts_with(start));
    assert!(
        has("assets   stopped (") && has("create   stopped (") && has("error: interrupted by SIGINT"),
        "{shown:#?}"
    );
    assert_eq!(site.names(), ("a".into(), "b".into()));
    site.ok(&["deploy", "--abort"]);
}
