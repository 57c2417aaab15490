//! What `make load`, `make faults` and `make bench` print. `tests/it/lossless.rs` tries a few of each in `make test`.

mod bench;
mod faults;
mod killed;
mod load;
pub mod operations;
mod processes;
mod table;
mod verdict;

use std::env;

/// How often something is tried: as often as `ROUNDS` says, where it is set.
fn rounds(usual: usize) -> usize {
    env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Whether a row of a table is wanted: all are, or those whose name has `ONLY` in it, where that is set.
fn wanted(name: &str) -> bool {
    env::var("ONLY").map_or(true, |part| name.contains(&part))
}
