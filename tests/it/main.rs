//! Drives the real binary against real uWSGI, nginx, Django, pip, uv and npm. `site.rs` is the harness.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod helpers;
mod load;
mod look;
mod mount;
mod site;

mod access;
mod activate;
mod caching;
mod canary;
mod clock;
mod concurrency;
mod config;
mod crash;
mod create;
mod deploy;
mod disk;
mod doctor;
mod drain;
mod faults;
mod filesystems;
mod first;
mod flavours;
mod gates;
mod history;
mod host;
mod lfs;
mod limits;
mod loading;
mod locks;
mod lossless;
mod maintenance;
mod mode;
mod names;
mod output;
mod packages;
mod progress;
mod proof;
mod proxy;
mod prune;
mod readme;
mod requests;
mod restart;
mod reuse;
mod rm_archive;
mod signals;
mod source;
mod stage;
mod stats;
mod strange;
mod swap;
mod up;
mod user;
mod warmup;
