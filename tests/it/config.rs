//! `builds.toml`: where it is found, and what is said about a wrong one.

use std::fs;

use crate::site::Site;

#[test]
fn the_configuration_is_found_here_or_above_or_where_it_is_said_to_be() {
    let site = Site::new("plain", "");
    let port = format!("{}\n", site.ports.base);
    let from = |dir: &str, args: &[&str]| {
        let dir = site.dir.join(dir);
        fs::create_dir_all(&dir).unwrap();
        let output = site.command(args).current_dir(dir).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(from("", &["port", "a"]), (Some(0), port.clone()));
    assert_eq!(from("one/two", &["port", "a"]), (Some(0), port.clone()));
    site.write("one/builds.toml", "[site]\nbase_port = 4000\n");
    assert_eq!(from("one/two", &["port", "a"]), (Some(0), "4000\n".into()), "the nearest one counts");
    assert_eq!(from("one/two", &["--config", "../../builds.toml", "port", "a"]), (Some(0), port.clone()));
    assert_eq!(from("one/two", &["port", "a", "--config", site.dir.join("builds.toml").to_str().unwrap()]).1, port);
}

#[test]
fn paths_start_at_the_configuration_wherever_a_command_is_typed() {
    let mut site = Site::new("plain", "source = \"app\"\n");
    site.write("app/wsgi.py", "inner = True\n");
    let toml = site.dir.join("builds.toml").display().to_string();
    site.caller.extend(["--config".into(), toml]);
    let home = site.dir.clone();
    site.dir = home.join("app");
    assert!(site.ok(&["list"]).is_empty());
    site.dir = home;
    site.start();
    let output = site.command(&["create", "a"]).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(site.read("deploy/builds/a/wsgi.py"), "inner = True\n");
}

#[test]
fn without_a_configuration_the_next_step_is_told() {
    let site = Site::new("plain", "");
    fs::remove_file(site.dir.join("builds.toml")).unwrap();
    for command in ["status", "list", "find-free", "doctor", "up", "wheels", "swap-live"] {
        let said = site.fails(2, &[command]);
        assert!(said.contains(&format!("there is no builds.toml in {} or above it", site.dir.display())), "{said}");
        assert!(said.contains("builds init writes one") && said.contains("--config FILE"), "{command}: {said}");
    }
    let said = site.fails(2, &["list", "--config", "nowhere.toml"]);
    assert!(said.contains(&format!("{} does not exist", site.dir.join("nowhere.toml").display())), "{said}");
    assert!(said.contains("--config names it") && said.contains("leave --config out"), "{said}");
}

#[test]
fn a_wrong_configuration_is_told_with_line_key_and_remedy() {
    let site = Site::new("plain", "");
    let long = format!("[site]\nroot = \"/{}\"\n", "x".repeat(80));
    let cases: [(&str, &[&str]); 14] = [
        ("[uwsgi]\nworkes = 2\n", &["builds.toml line 2: uwsgi.workes", "write workers in the section [uwsgi]"]),
        ("[uwsgo]\nworkers = 2\n", &["builds.toml line 1: uwsgo", "write [uwsgi]"]),
        ("\n[site]\nworkers = 2\n", &["builds.toml line 3: site.workers", "write workers in the section [uwsgi]"]),
        ("[site]\nqqqqqq = 2\n", &["builds.toml line 2: site.qqqqqq", "one of these: name, root, source"]),
        ("[uwsgi]\nworkers = \"2\"\n", &["line 2: uwsgi.workers = \"2\"", "for example: workers = 2"]),
        ("[uwsgi]\nworkers = 0\n", &["line 2: uwsgi.workers = 0", "1 to 1024"]),
        ("[site]\nbase_port = 80\n", &["line 2: site.base_port = 80", "1024 to 65535"]),
        ("[site]\nbase_port = 70000\n", &["line 2: site.base_port = 70000", "1024 to 65535"]),
        ("[site]\nroot = \"a b\"\n", &["line 2: site.root = \"a b\"", "letters, digits and / . _ + -"]),
        (&long, &["builds.toml line 2: site.root", "a shorter site.root of at most 74 bytes"]),
        ("[assets]\ncommands = [\"npm run build\"]\n", &["line 2: assets.commands", "for example: commands = [["]),
        ("[env]\nBUILD_NAME = \"x\"\n", &["line 2: env.BUILD_NAME", "SITE_BUILD_NAME"]),
        ("[nginx]\nupstream = \"sockets\"\n", &["line 2: nginx.upstream = \"sockets\"", "\"socket\""]),
        ("[site\n", &["builds.toml line 1: this is not TOML", "write a section as [uwsgi]"]),
    ];
    for (text, parts) in cases {
        site.write("builds.toml", text);
        let said = site.fails(2, &["list"]);
        for part in parts {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert_eq!(said.lines().count(), 3, "what, why, next: {said}");
    }
}

#[test]
fn a_configuration_that_is_no_text_is_wrong_usage_too() {
    let site = Site::new("plain", "");
    fs::write(site.dir.join("builds.toml"), b"[site]\nname = \"caf\xe9\"\n").unwrap();
    for args in [&["list"][..], &["list", "--config", "deploy"]] {
        let said = site.fails(2, args);
        assert!(said.contains("is no builds.toml") && said.contains("not written in UTF-8"), "{args:?}: {said}");
    }
}

#[test]
fn a_root_too_long_for_sockets_is_refused_where_it_is_the_default_too() {
    let site = Site::new("plain", "");
    let deep = format!("deep/{}", "x".repeat(80));
    site.write(&format!("{deep}/builds.toml"), "");
    let said = site.fails(2, &["list", "--config", &format!("{deep}/builds.toml")]);
    assert!(said.contains("builds.toml: site.root") && said.contains("of at most 74 bytes"), "{said}");
}

#[test]
fn a_missing_source_is_told_by_its_key() {
    let site = Site::up("plain", "source = \"nowhere\"\n");
    let missing = site.dir.join("nowhere").display().to_string();
    for command in [&["create", "a"][..], &["wheels"], &["init"]] {
        let said = site.fails(2, command);
        assert!(said.contains("builds.toml line 4: site.source") && said.contains(&missing), "{command:?}: {said}");
        assert!(said.contains("write the path of one that exists"), "{command:?}: {said}");
    }
}

#[test]
fn init_writes_a_first_configuration_for_the_project() {
    for (fixture, module, command) in
        [("plain", "wsgi:application", "commands = []"), ("demo", "demo.wsgi:application", "collectstatic")]
    {
        let site = Site::new(fixture, "");
        fs::remove_file(site.dir.join("builds.toml")).unwrap();
        let said = site.ok(&["init"]);
        assert!(said.contains("builds up") && said.contains("builds init    again"), "{said}");
        let toml = site.read("builds.toml");
        assert!(toml.contains(&format!("module = \"{module}\"")) && toml.contains(command), "{toml}");
        assert_eq!(site.ok(&["port", "a"]), "2000\n", "it can be read");
        assert!(!site.root().join("builds").exists(), "nothing else is made before it was read");
    }
    let site = Site::new("plain", "");
    let before = site.read("builds.toml");
    site.fails(1, &["init"]);
    assert_eq!(site.read("builds.toml"), before);
}

#[test]
fn an_edit_of_the_configuration_reaches_a_build_at_its_next_activate() {
    let site = Site::up("plain", "\n[env]\nMOOD = \"calm\"\n");
    site.ok(&["create", "a"]);
    site.ok(&["activate", "a"]);
    let mood = || site.ok(&["run", "a", "--", "sh", "-c", "echo $MOOD; cat run/env/MOOD"]);
    assert_eq!(mood(), "calm\ncalm");
    site.configure("\n[uwsgi]\nworkers = 3\n[env]\nMOOD = \"merry\"\n");
    site.ok(&["deactivate", "a"]);
    site.ok(&["activate", "a"]);
    assert_eq!(mood(), "merry\nmerry");
    assert_eq!(site.status("a")["workers"], 3);
}
