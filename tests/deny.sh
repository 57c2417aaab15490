#!/bin/sh
# What deny.toml asks of the crates, by a cargo-deny of this project's own below target/.
set -eu

tools=${CARGO_TARGET_DIR:-target}/tools
# Without optimization it is built in less than half the time, and checks in the same second.
CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$tools" cargo-deny@0.20.2

deny() {
    "$tools/bin/cargo-deny" --locked "$@"
}

checks="licenses bans sources"
if why=$(deny fetch db 2>&1); then
    checks="advisories $checks"
else
    echo "advisories are not checked, as their database cannot be reached: $(echo "$why" | tail -n 1)" >&2
fi
# shellcheck disable=SC2086 # a list of checks
deny check $checks
