//! Drives the real binary against real uWSGI, nginx, Django, pip, uv and npm. `site.rs` is the harness.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod load;
mod look;
mod site;

mod drain;
mod first;
mod swap;
