//! uWSGI and nginx: how they are asked, told and watched.

pub mod canary;
pub mod checkup;
pub mod conf;
pub mod crowd;
mod drain;
mod drain_beside;
pub mod emperor;
mod import;
pub mod maintenance;
pub mod names;
pub mod nginx;
pub mod pause;
mod reach;
pub mod stats;
pub mod traffic;
mod trouble;
pub mod vassal;
pub mod watch;
pub mod zerg;

pub use trouble::Trouble;
