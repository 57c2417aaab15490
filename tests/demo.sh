#!/bin/sh
# The main job, from nothing: uWSGI and nginx come up, two builds are made and served, live and stage change places.
set -eu

cd "$(dirname "$0")/.."
builds=$PWD/target/release/builds
site=$PWD/.demo
mkdir -p "$site"
cd "$site"

cat >builds.toml <<TOML
[site]
name = "demo"
source = "../fixtures/demo"

[init]
commands = [["python", "manage.py", "migrate", "--noinput"]]

[warmup]
paths = ["/", "/guestbook/"]
TOML

show() {
    printf '\n  live  http://localhost:8080/whoami  '
    curl -sS http://localhost:8080/whoami
    printf '\n  stage http://localhost:8081/whoami  '
    curl -sS http://localhost:8081/whoami
    printf '\n\n'
}

step() {
    printf '$ builds %s\n' "$*"
    "$builds" "$@"
}

echo '$ builds up &        (its output goes to .demo/up.log)'
"$builds" up >up.log 2>&1 &
up=$!
trap 'kill -INT $up 2>/dev/null; wait $up 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step init || { tail -n 20 up.log; exit 1; }
step status
show
before=$(curl -sS http://localhost:8080/whoami)
step swap-live
show
after=$(curl -sS http://localhost:8080/whoami)
[ "$before" != "$after" ] || { echo 'the swap did not change the live page' >&2; exit 1; }

if [ "${CHECK:-}" = 1 ]; then
    echo 'demo: the swap changed the live page, as it should'
    exit 0
fi
cat <<'NEXT'
It keeps running. Look at http://localhost:8080/ and http://localhost:8081/, and try, in another terminal:

  cd .demo
  PATH=$PWD/../target/release:$PATH
  builds create c --tag v2      # a third build, from ../fixtures/demo as it is now
  builds stage c                # start its workers, warm them, point _stage at it
  builds swap-live              # c is live, and not a request was lost
  builds status

Ctrl-C stops everything.
NEXT
wait $up
