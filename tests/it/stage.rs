//! `stage` makes a build ready to go live, and follows no link that leads astray.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::look::{nginx_workers, worker_pids};
use crate::site::Site;

#[test]
fn staging_a_build_activates_and_warms_it() {
    let site = Site::ready("plain", "");
    let nginx = nginx_workers(&site);
    site.ok(&["create", "c"]);
    let said = site.json(&["stage", "c"]);
    assert_eq!((&said["changed"], &said["live"], &said["stage"]), (&true.into(), &"a".into(), &"c".into()));
    assert_eq!(said["nginx_reloaded"], false);
    assert_eq!(site.names(), ("a".into(), "c".into()));
    let row = site.status("c");
    assert_eq!((&row["state"], &row["role"]), (&"warm".into(), &"stage".into()));
    assert!(site.staged("/").1.contains(r#""build": "c""#));
    assert_eq!(nginx_workers(&site), nginx);
    // The build that was staged has no name any more, and still runs.
    let row = site.status("b");
    assert_eq!((&row["state"], &row["role"]), (&"warm".into(), &serde_json::Value::Null));

    let workers = worker_pids(&site, "c");
    site.unchanged(&["stage", "c"]);
    assert_eq!(site.ok(&["stage", "stage"]), "build c was staged already\n");
    assert_eq!(worker_pids(&site, "c"), workers);
}

#[test]
fn the_live_build_is_never_staged() {
    let site = Site::ready("plain", "");
    for build in ["a", "live"] {
        let error = site.fails(3, &["stage", build]);
        assert!(error.contains("cannot stage a: it is live") && error.contains("next: builds swap-live"), "{error}");
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));
}

#[test]
fn a_build_that_is_not_whole_or_not_healthy_is_not_staged() {
    let site = Site::ready("plain", "");
    site.configure("\n[assets]\ncommands = [[\"false\"]]\n");
    site.fails(1, &["create", "c"]);
    let error = site.fails(3, &["stage", "c"]);
    assert!(error.contains("build c is incomplete") && error.contains("builds create c continues it"), "{error}");

    site.configure("\n[warmup]\nexpect = 204\n");
    site.ok(&["create", "d"]);
    // Workers that have answered, but wrongly, do not make it healthy at the second try.
    for _ in 0..2 {
        let error = site.fails(5, &["stage", "d"]);
        assert!(error.contains("/ answered 200, expected 204"), "{error}");
    }
    assert_eq!(site.names(), ("a".into(), "b".into()));
    assert!(site.staged("/").1.contains(r#""build": "b""#));
}

#[test]
fn a_name_that_is_not_as_it_must_be_is_refused_and_never_followed() {
    let site = Site::ready("plain", "");
    let outside = site.dir.join("elsewhere");
    fs::create_dir(&outside).unwrap();
    for file in ["build.json", ".DEPLOY_TAG", "live.conf", "stage.conf"] {
        fs::copy(site.build("b").join(file), outside.join(file)).unwrap();
    }
    let here = Path::new("../../elsewhere");
    for role in ["_stage", "_live"] {
        let link = site.root().join("builds").join(role);
        let good = fs::read_link(&link).unwrap();
        let cases = [
            (Path::new("zz"), "points to zz, which does not exist"),
            (here, "which is no build of this site"),
            (&outside, "which is no build of this site"),
            (Path::new("./b"), "which is no build of this site"),
        ];
        for (target, reason) in cases {
            fs::remove_file(&link).unwrap();
            symlink(target, &link).unwrap();
            refuses(&site, reason, &format!("ln -sfn NAME {}", link.display()));
            assert_eq!(fs::read_link(&link).unwrap(), target, "the link is left to the operator");
        }

        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        refuses(&site, "a file or directory stands where the link should be", &format!("move {} away", link.display()));
        assert!(fs::read_dir(&link).unwrap().next().is_none());
        fs::remove_dir(&link).unwrap();
        symlink(&good, &link).unwrap();
    }
    let stage = site.root().join("builds/_stage");
    fs::remove_file(&stage).unwrap();
    symlink("a", &stage).unwrap();
    refuses(&site, "_live and _stage both point to a", "ln -sfn NAME");
    fs::remove_file(&stage).unwrap();
    symlink("b", &stage).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 4, "nothing is written to where a link leads");
    site.ok(&["swap-live"]);
}

/// Every command that needs the names says what is wrong with them.
#[track_caller]
fn refuses(site: &Site, reason: &str, next: &str) {
    for command in ["stage b", "swap-live", "swap-live b", "rm b", "warmup stage", "deactivate b", "init"] {
        let error = site.fails(3, &command.split(' ').collect::<Vec<_>>());
        assert!(error.contains(reason) && error.contains(next), "{command}\n{error}");
    }
    assert_eq!(site.run(&["status"]).code, 0, "a command that only looks still shows what there is");
    assert_eq!(site.status("b")["state"], "warm");
}
