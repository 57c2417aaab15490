#!/bin/sh
# The emperors call this as `uwsgi.sh --ini <build>/vassal.ini` (or zerg.ini). It runs the build's own uWSGI, with the
# build's own Python, where its requirements bring pyuwsgi, and the host's uWSGI otherwise: with its plugins where they
# are files of their own, as the distribution packages them. A built-in plugin is reported missing, and works.
own="${2%/*}/bin/uwsgi"
if [ -x "$own" ]; then
    exec "$own" "$@"
fi
exec {{uwsgi}} --plugin http,python3,logfile "$@"
