"""Posts what waits in a directory, the oldest first, to a webhook. Runs apart from the command that wrote it.

Arguments: the directory. Environment: BUILDS_WEBHOOK, the URL; BUILDS_SECRET, what requests are signed with, or nothing.
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


def post(name, body):
    """Whether there is nothing more to do about it."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "builds",
        "X-Builds-Event": json.loads(body)["event"],
        "X-Builds-Delivery": name.removesuffix(".json"),
    }
    secret = os.environ.get("BUILDS_SECRET")
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Builds-Signature"] = "sha256=" + digest
    request = urllib.request.Request(os.environ["BUILDS_WEBHOOK"], data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:
        print(f"{name}: {error}", flush=True)
        return 400 <= error.code < 500 and error.code not in (408, 429)
    except Exception as error:
        print(f"{name}: {error}", flush=True)
        return False


def deliver(directory):
    """Whether all is delivered, or given up."""
    for name in sorted(name for name in os.listdir(directory) if name.endswith(".json") and not name.startswith(".")):
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            body = file.read()
        if post(name, body) or time.time() - os.stat(path).st_mtime > OLD:
            os.remove(path)
        else:
            return False
    return True


def main():
    os.setsid()
    directory = sys.argv[1]
    with open(os.path.join(directory, "lock"), "w") as lock:
        # One at a time, so that events come in their order.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for pause in PAUSES:
            if deliver(directory):
                return
            threading.Event().wait(pause)


main()
