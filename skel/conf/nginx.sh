#!/bin/sh
# `builds up` starts nginx by this, also when it has died. The workers of a master that was killed go on, and keep the ports
# that the next master needs: they are told to finish what they have.

master=$(cat {{root}}/run/nginx.pid 2>/dev/null)

# The workers that are left of a master that is gone: they are still in its process group.
orphans() {
    # A master that has ended, and whose end nobody has asked for, has no command line.
    [ -n "$master" ] && ! grep -qs . "/proc/$master/cmdline" || return
    for process in /proc/[0-9]*; do
        { read -r stat <"$process/stat"; } 2>/dev/null || continue
        # After the name: state, parent, group.
        # shellcheck disable=SC2086
        set -- ${stat##*) }
        if [ "$3" = "$master" ] && grep -qs "^nginx: worker" "$process/cmdline"; then
            echo "${process#/proc/}"
        fi
    done
}

# Whether a worker may still take connections. It changes its title when it stops to.
listens() {
    grep -qs "^nginx: worker" "/proc/$1/cmdline" && ! grep -qs "shutting down" "/proc/$1/cmdline"
}

old=$(orphans)
for pid in $old; do
    kill -QUIT "$pid"
done
for pid in $old; do
    tries=0
    while listens "$pid" && [ $((tries += 1)) -le 1000 ]; do :; done
done

exec {{nginx}} -e stderr -c {{root}}/conf/nginx.conf -g '{{nginx_globals}}'
