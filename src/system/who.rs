//! Who runs this command, and what was typed.

use nix::unistd::{Uid, User, getuid};

use crate::model::change::By;

/// The longest name that is taken from the environment, in characters.
const LONGEST: usize = 64;

/// The user that this process runs as, and who called sudo for it.
pub fn user() -> By {
    let name = name(getuid());
    let sudo = std::env::var("SUDO_USER").ok().map(plain).filter(|sudo| !sudo.is_empty() && *sudo != name);
    By { user: name, sudo }
}

/// A user's name, or the number of one that has none, as sudo takes it.
pub fn name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("#{uid}"), |user| user.name)
}

/// The environment may say anything, and a table or a terminal gets it to show.
fn plain(text: String) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}

/// What was typed behind the name of the program.
pub fn typed() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}
