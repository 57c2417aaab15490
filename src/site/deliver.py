"""Posts what waits in a directory, the oldest first, to a webhook. Runs apart from the command that wrote it.

Arguments: the directory, and the name of the event that this is started for. Environment: BUILDS_WEBHOOK, the URL;
BUILDS_SECRET, what requests are signed with, or nothing. What goes wrong is told on standard error.
"""

import fcntl
import hashlib
import hmac
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

# Seconds that one request may take.
PATIENCE = 15
# Seconds between tries: 10 minutes all together. What is left then waits for the next event.
PAUSES = [1, 2, 4, 8, 15, 30, 60, 120, 180, 180]
# Seconds after which nobody wants to know any more.
OLD = 86_400


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the event would not be posted there, but the page be asked for."""

    def redirect_request(self, *_):
        return None


def tell(name, what):
    # What a server says may have lines of its own.
    line = " ".join(str(what).split())
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), f"{name}: {line}", file=sys.stderr, flush=True)


def post(name, body):
    """Whether there is nothing more to do about it."""
    try:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "builds",
            "X-Builds-Event": json.loads(body)["event"],
            "X-Builds-Delivery": name.removesuffix(".json"),
        }
    except (ValueError, LookupError, TypeError):
        tell(name, "given up: it is no event")
        return True
    secret = os.environ.get("BUILDS_SECRET")
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Builds-Signature"] = "sha256=" + digest
    try:
        request = urllib.request.Request(os.environ["BUILDS_WEBHOOK"], data=body, headers=headers, method="POST")
        with urllib.request.build_opener(Stay).open(request, timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:
        final = 400 <= error.code < 500 and error.code not in (408, 429)
        tell(name, f"given up: {error}" if final else error)
        return final
    except Exception as error:
        tell(name, error)
        return False


def waiting(directory):
    names = (name for name in os.listdir(directory) if name.endswith(".json") and not name.startswith("."))
    return sorted(names)


def deliver(directory):
    """Whether all is delivered, or given up."""
    for name in waiting(directory):
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            body = file.read()
        if not post(name, body):
            if time.time() - os.stat(path).st_mtime <= OLD:
                return False
            tell(name, "given up: it is a day old")
        os.remove(path)
    return True


def main():
    os.setsid()
    directory, own = sys.argv[1:]
    with open(os.path.join(directory, "lock"), "w") as lock:
        # One at a time, so that events come in their order.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for pause in PAUSES:
            if deliver(directory):
                return
            # Who was started for a later event waits for the lock. It takes all of them up, and knows the webhook of now.
            if waiting(directory)[-1:] > [own]:
                return
            threading.Event().wait(pause)


main()
