//! The doors to the world, one each: processes, signals, files and links, locks, sockets, HTTP, waiting, git, the
//! terminal.

pub mod aside;
mod children;
pub mod disk;
pub mod exchange;
pub mod files;
pub mod follow;
pub mod git;
pub mod http;
pub mod journal;
pub mod listeners;
pub mod lock;
pub mod passed;
pub mod process;
pub mod procfs;
pub mod relay;
pub mod signals;
pub mod socket;
pub mod terminal;
pub mod tree;
pub mod wait;
pub mod weight;
pub mod who;
