#!/bin/sh
# The emperors call this as `uwsgi.sh --ini <build>/vassal.ini` (or zerg.ini). It runs the build's own uWSGI, with the
# build's own Python, where its requirements bring pyuwsgi, and the host's uWSGI otherwise: with its plugins where they
# are files of their own, as the distribution packages them. A built-in plugin is reported missing, and works.

build=${2%/*}

# The workers' environment. It has to be there from the start: a uWSGI that is part of a Python, as pyuwsgi is, reads its
# configuration when that Python has taken its copy already.
if [ "${2##*/}" = zerg.ini ]; then
    for variable in "$build"/run/env/*; do
        value=$(cat "$variable" && echo .)
        export "${variable##*/}=${value%.}"
    done
fi

if [ -x "$build/bin/uwsgi" ]; then
    # It cannot change its processes' titles, so the command line says what ps shall show.
    exec "$build/bin/uwsgi" "$@" --set-placeholder "title={{site}}-${build##*/}-$(cat "$build/.DEPLOY_TAG")"
fi
exec {{uwsgi}} --plugin http,python3,logfile "$@"
