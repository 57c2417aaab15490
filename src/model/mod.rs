//! What the tool knows without asking the world: names, places, configuration, what was observed, and the rules.
//!
//! Nothing here opens a file, reads a clock, or talks to a process, so every rule is a table test.

pub mod canary;
pub mod change;
pub mod config;
pub mod course;
pub mod difference;
pub mod digest;
pub mod environment;
pub mod freeze;
pub mod history;
pub mod layout;
pub mod listing;
pub mod manifest;
pub mod migrations;
pub mod name;
pub mod nginx_conf;
pub mod npm;
pub mod observed;
pub mod pattern;
pub mod plan;
pub mod port;
pub mod render;
pub mod requests;
pub mod requirements;
pub mod retention;
pub mod rollback;
pub mod rules;
pub mod skeletons;
pub mod slot;
pub mod tag;
pub mod time;
pub mod warmth;
pub mod watch;
pub mod wish;
pub mod words;
