#!/bin/sh
# The emperors call this as `uwsgi.sh --ini <build>/vassal.ini` (or zerg.ini, or zerg-2.ini). It runs the build's own
# uWSGI, with the build's own Python, where its requirements bring pyuwsgi, and the host's uWSGI otherwise: with its plugins
# where they are files of their own, as the distribution packages them. A built-in plugin is reported missing, and works.

build=${2%/*}

# The workers' environment, a file each. It has to be there from the start: a uWSGI that is part of a Python, as pyuwsgi is,
# reads its configuration when that Python has taken its copy already. No variable is used here, as one of the environment
# may have its name.
take_environment() {
    while [ $# -gt 0 ]; do
        take "$1"
        shift
    done
}

take() {
    set -- "${1##*/}" "$(cat "$1" && echo .)"
    export "$1=${2%.}"
}

# Whether a process listens at a unix socket, whose file also stays behind a process that was killed.
listens() {
    awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' /proc/net/unix
}

link=${2##*/}
if [ "$link" = vassal.ini ]; then
    # Workers that have outlived their vassal keep its sockets, with all requests that wait there.
    if [ -L "$build/zerg.ini" ] && listens "$build/run/zerg.keep"; then
        set -- "$@" --zerg "$build/run/zerg.keep"
    elif [ -L "$build/zerg-2.ini" ] && listens "$build/run/zerg-2.keep"; then
        set -- "$@" --zerg "$build/run/zerg-2.keep"
    else
        set -- "$@" --socket "$build/run/web-1.sock" --socket "$build/run/web-2.sock"
        # A pause ends with the sockets that it holds requests at.
        held=$(readlink "$build/run/web.sock")
        case $held in hold-[12].sock) ln -sfn "web-${held#hold-}" "$build/run/web.sock" ;; esac
    fi
fi

if [ -x "$build/bin/uwsgi" ]; then
    # It cannot change its processes' titles, so the command line says what ps shall show.
    set -- "$build/bin/uwsgi" "$@" --set-placeholder "title={{site}}-${build##*/}-$(cat "$build/.DEPLOY_TAG")"
    # That of pyuwsgi is a script which finds its Python by a shell, and a shell has an IFS of its own.
    [ "$(head -c 2 "$build/bin/uwsgi")" != "#!" ] || set -- "$build/bin/python" "$@"
else
    set -- {{uwsgi}} --plugin http,python3,logfile "$@"
fi
[ "$link" = vassal.ini ] || take_environment "$build"/run/env/*
exec "$@"
