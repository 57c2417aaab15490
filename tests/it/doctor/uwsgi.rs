//! What `builds doctor` finds of uWSGI's files.

use super::finds;
use crate::site::Site;

#[test]
fn options_that_commands_rely_on() {
    let site = Site::ready("plain", "");
    let root = site.root().display().to_string();
    for (file, option, other, harm) in [
        (
            "vassals.ini",
            &*format!("emperor-stats = {root}/run/vassals.stats"),
            "",
            "commands can neither ask nor wake it",
        ),
        ("zergs.ini", "die-on-term = true", "; die-on-term = true", "it restarts at SIGTERM, and does not stop"),
        ("zergs.ini", "emperor-nofollow = true", "", "an edit of a skeleton restarts all builds"),
        ("zerg.skel", "master-fifo = %drun/%n.fifo", "", "stopping its workers cuts their requests"),
        ("zerg.skel", "add-header = X-Builds-Name: %c", "", "nginx cannot note which build has answered"),
        ("vassal.skel", "chmod-socket = 660", "chmod-socket = 666", "others may run code as this user"),
    ] {
        let path = format!("deploy/conf/{file}");
        let shipped = site.read(&path);
        assert!(shipped.contains(option), "{option}");
        site.write(&path, &shipped.replace(option, other));
        finds(&site, &format!("conf/{file} lacks `{option}`: without it {harm}"), "put the line back, ");
        site.write(&path, &shipped.replace(option, &option.replace(" = ", "=")));
        assert!(!site.ok(&["doctor"]).contains("lacks"), "{option}");
        site.write(&path, &shipped);
    }
}
