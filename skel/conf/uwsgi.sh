#!/bin/sh
# The emperors call this as `uwsgi.sh --ini <build>/vassal.ini` (or zerg.ini). It runs the build's own uWSGI, with the
# build's own Python, where its requirements bring pyuwsgi, and the host's uWSGI with its plugins otherwise.
own="${2%/*}/bin/uwsgi"
if [ -x "$own" ]; then
    exec "$own" "$@"
fi
exec {{uwsgi}} --need-plugin http,python3,logfile "$@"
