"""Tells which migrations of a build its databases lack, and applies them.

Its arguments are the program judge.py, which needs Django, and a JSON object: `databases`, a list of aliases; `apply`,
whether to apply what is additive, and `destructive`, whether also what is not; `judge`, migrations of which only those that
were applied are told, or null; `wait`, how many seconds to wait for whoever migrates the same database; `into`, the file to
which the answer goes instead of standard output.
"""

import json
import os
import runpy
import sys
import traceback
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

# What others, on other hosts too, must hold who migrate the same database with this program.
KEY = int.from_bytes(b"builds", "big")


class Stop(Exception):
    """What ends all, and is told as the answer."""

    def __init__(self, kind, database, text):
        super().__init__(text)
        self.failure = {"kind": kind, "database": database, "text": text}


class Ready(BaseException):
    """The command line has come to Django, with all that it sets up before."""


def set_up():
    """Loads the settings that the project's commands have; whether it is one of Django."""
    if find_spec("django") is None:
        return False
    import django
    from django.conf import settings
    from django.core import management

    if os.path.isfile("manage.py"):
        execute = management.ManagementUtility.execute

        def ready(_):
            raise Ready

        management.ManagementUtility.execute = ready
        own, sys.argv = sys.argv, ["manage.py", "migrate"]
        # Modules beside manage.py are found from the working directory, as its own directory is the same.
        sys.path.insert(0, os.getcwd())
        try:
            runpy.run_path("manage.py", run_name="__main__")
        except Ready:
            pass
        finally:
            management.ManagementUtility.execute, sys.argv = execute, own
    if not (settings.configured or os.environ.get("DJANGO_SETTINGS_MODULE")):
        return False
    django.setup()
    return True


@contextmanager
def alone(connection, wait):
    """Keeps out whoever migrates the same database, where it is one that can."""
    if connection.vendor != "postgresql":
        yield
        return
    from django.db import OperationalError

    # A connection of its own: a migration may close the other one, and the lock would go with it.
    keeper = connection.copy()
    try:
        with keeper.cursor() as cursor:
            # 0 would be no limit.
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{max(int(wait * 1000), 1)}ms"])
            try:
                cursor.execute("SELECT pg_advisory_lock(%s)", [KEY])
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", getattr(error.__cause__, "pgcode", None)) != "55P03":
                    raise
                raise Stop("locked", connection.alias, "") from None
        yield
    finally:
        keeper.close()


def name(key):
    return ".".join(key)


def executor_of(connection):
    from django.db.migrations.exceptions import InconsistentMigrationHistory, NodeNotFoundError
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        executor.loader.check_consistent_history(connection)
    except (InconsistentMigrationHistory, NodeNotFoundError) as error:
        raise Stop("history", connection.alias, str(error)) from None
    conflicts = executor.loader.detect_conflicts()
    if conflicts:
        both = "; ".join(f"{', '.join(names)} in {app}" for app, names in sorted(conflicts.items()))
        raise Stop("history", connection.alias, f"two migrations come last: {both}. makemigrations --merge joins them")
    return executor


def unapplied(executor):
    """The migrations that a database lacks."""
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return {name((one.app_label, one.name)) for one, _ in plan}


def applied(loader, asked):
    """Those of the migrations that are asked for that a database has."""
    found = asked.intersection(name(key) for key in loader.applied_migrations)
    # What takes the place of others does nothing that they have not done.
    joined = {name(key): {name(part) for part in one.replaces} for key, one in loader.disk_migrations.items() if one.replaces}
    return {key for key in found if key not in joined or found & joined[key]}


def judged(executor, asked):
    """The migrations that are asked for, in the order in which they are applied, each judged."""
    from django.db.migrations.state import ProjectState

    if not asked:
        return []
    loader = executor.loader
    empty = not executor.recorder.applied_migrations()
    rules = {"__name__": "judge"}
    exec(compile(sys.argv[1], "judge.py", "exec"), rules)
    judge, state = rules["Judge"](executor.connection), ProjectState(real_apps=loader.unmigrated_apps)
    found = []
    for migration, _ in executor.migration_plan(loader.graph.leaf_nodes(), clean_start=True):
        key, app, operations = name((migration.app_label, migration.name)), migration.app_label, []
        for operation in migration.operations:
            if key in asked:
                inner = list(judge.judge(operation, app, state))
                operations += [told(one, None if empty else why) for one, why in inner]
            operation.state_forwards(app, state)
        if key in asked:
            found.append({"database": executor.connection.alias, "migration": key, "operations": operations})
    return found


def told(operation, why):
    model = getattr(operation, "model_name", None)
    own = getattr(operation, "name", None) or getattr(operation, "old_name", None)
    return {
        "op": type(operation).__name__,
        "model": model or own,
        "field": own if model else None,
        "describe": operation.describe(),
        "class": "destructive" if why else "additive",
        "why": why,
    }


def answer(wish):
    if not set_up():
        return {"django": False}
    found = {"django": True, "leaves": [], "known": [], "unapplied": [], "applied": [], "earlier": [], "failure": None}
    try:
        with ExitStack() as locks:
            look(found, wish, locks)
            operations = [operation for migration in found["unapplied"] for operation in migration["operations"]]
            if wish["apply"] and (wish["destructive"] or all(operation["class"] == "additive" for operation in operations)):
                apply(found)
    except Stop as stop:
        found["failure"] = stop.failure
    return found


def look(found, wish, locks):
    """Finds what each database lacks; with the locks of all of them, where it is to be applied."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError, InterfaceError, connections

    for alias in wish["databases"]:
        if alias not in connections.settings:
            raise Stop("unknown", alias, ", ".join(sorted(connections.settings)))
        try:
            connection = connections[alias]
            if connection.vendor == "unknown":
                # Django's own stand-in where the settings name no database.
                continue
            if wish["apply"]:
                locks.enter_context(alone(connection, wish["wait"]))
            executor = executor_of(connection)
            if wish["judge"] is None:
                found["unapplied"] += judged(executor, unapplied(executor))
            else:
                found["earlier"] += judged(executor, applied(executor.loader, set(wish["judge"])))
        except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
            raise Stop("database", alias, str(error).strip()) from None
        loader = executor.loader
        replaced = [key for migration in loader.disk_migrations.values() for key in migration.replaces]
        found["leaves"] = sorted(name(key) for key in loader.graph.leaf_nodes())
        found["known"] = sorted({name(key) for key in [*loader.disk_migrations, *replaced]})


def apply(found):
    """Applies all that the databases lack, as the project's own `migrate` does."""
    from django.core.management import call_command
    from django.db import connections

    for alias in dict.fromkeys(migration["database"] for migration in found["unapplied"]):
        try:
            call_command("migrate", database=alias, interactive=False, skip_checks=True)
        # A migration may exit, too.
        except (Exception, SystemExit):
            text = traceback.format_exc()
            print(text, file=sys.stderr)
            found["failure"] = {"kind": "failed", "database": alias, "text": "\n".join(text.strip().splitlines()[-12:])}
        # A failure may have left it in the midst of a transaction.
        connections[alias].close()
        applied = executor_of(connections[alias]).loader.applied_migrations
        lacked = (one["migration"] for one in found["unapplied"] if one["database"] == alias)
        found["applied"] += [[alias, key] for key in lacked if tuple(key.split(".", 1)) in applied]
        if found["failure"]:
            break


if __name__ == "__main__":
    wish = json.loads(sys.argv[2])
    # What the project prints on its way is no part of the answer.
    stdout = os.dup(1)
    os.dup2(2, 1)
    with open(wish["into"] or stdout, "w", encoding="utf-8") as file:
        json.dump(answer(wish), file)
