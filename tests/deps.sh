#!/bin/sh
# Installs the Debian packages that the demo, the tests and the benchmark need, where a program is missing.
set -eu

packages=
need() { # need PROGRAM PACKAGE…
    program=$1
    shift
    command -v "$program" >/dev/null || packages="$packages $*"
}

need nginx nginx-core
need uwsgi uwsgi-core uwsgi-plugin-python3
need curl curl
need git git
need npm npm
need rsync rsync
need ss iproute2
need strace strace
need mkfs.xfs xfsprogs
need mkfs.btrfs btrfs-progs
need faketime faketime
need wrk wrk
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages="$packages postgresql"
python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
# shellcheck disable=SC2086 # a list of packages
[ -z "$packages" ] && exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$packages"
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
