//! Drives the real binary against real uWSGI, nginx, Django, pip, uv and npm. `site.rs` is the harness.

mod site;

mod first;
