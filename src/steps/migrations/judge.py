"""Tells what each operation of a migration does to a build whose code does not know it, and which goes on: it selects its own
columns by name, inserts rows with these columns alone, and updates and deletes them. What lets one of these fail, or loses
data that it reads, is destructive; what cannot be told is, too.
"""

from django.db import migrations, router
from django.db.models import ForeignKey
from django.db.models.fields import NOT_PROVIDED
from django.db.models.fields.related import ForeignObject

ADDITIVE = None
ANYTHING = 'it may do anything, and has no hints={"builds": "additive"}'

# Integers by their size in bytes; a wider one takes all that a narrower one took.
SIZES = {"Small": 2, "": 4, "Big": 8}
INTEGERS = {
    f"{sign}{size}{kind}Field": (kind, sign, SIZES[size])
    for size in SIZES
    for kind, sign in [("Integer", ""), ("Integer", "Positive"), ("Auto", "")]
}
# A text of at most max_length characters.
TEXTS = {"CharField", "FileField", "FilePathField", "SlugField"}


def of_django(operation, *names):
    """Whether an operation is one of Django's own classes: a class derived from one may do anything."""
    kind = type(operation)
    return kind.__module__.startswith("django.") and any(base.__name__ in names for base in kind.__mro__)


class Judge:
    """Judges the operations of migrations in their order."""

    def __init__(self, connection):
        self.connection = connection
        # Tables that come with what is judged: no older code knows them.
        self.new = set()

    def judge(self, operation, app, state):
        """Every operation on the database that this one is: itself, or those inside it."""
        if of_django(operation, "SeparateDatabaseAndState"):
            inner = state.clone()
            for one in operation.database_operations:
                yield from self.judge(one, app, inner)
                one.state_forwards(app, inner)
        else:
            yield operation, self.fault(operation, app, state)

    def fault(self, operation, app, state):
        """Why an operation is destructive, or ADDITIVE. `state` is that before it."""
        if of_django(operation, "RunPython", "RunSQL"):
            return self.of_code(operation, app)
        if not of_django(operation, "Operation"):
            return ANYTHING if self.unmarked(operation) else ADDITIVE
        name = (getattr(operation, "model_name", "") or getattr(operation, "name", "") or "").lower()
        if of_django(operation, "CreateModel"):
            self.new.add((app, name))
            return ADDITIVE
        if of_django(operation, "RenameModel"):
            name = operation.old_name_lower
            if (app, name) in self.new:
                self.new.add((app, operation.new_name_lower))
        harmless = ["AddIndex", "RemoveIndex", "RenameIndex", "AlterIndexTogether", "RemoveConstraint", "AlterConstraint"]
        harmless += ["AlterModelOptions", "AlterModelManagers", "AlterModelTableComment", "ValidateConstraint"]
        harmless += ["CreateExtension", "CreateCollation"]
        if (app, name) in self.new or of_django(operation, *harmless):
            return ADDITIVE
        model = state.models.get((app, name))
        options = model.options if model else {}
        if options.get("proxy") or not options.get("managed", True):
            return ADDITIVE
        if not router.allow_migrate(self.connection.alias, app, model_name=name):
            return ADDITIVE
        rule = getattr(self, "of_" + type(operation).__name__, None)
        return rule(operation, app, model) if rule and model else ANYTHING

    def unmarked(self, operation):
        return (getattr(operation, "hints", None) or {}).get("builds") != "additive"

    def of_code(self, operation, app):
        nothing = getattr(operation, "code", None) is migrations.RunPython.noop or getattr(operation, "sql", None) in ("", [])
        if nothing or not router.allow_migrate(self.connection.alias, app, **operation.hints):
            return ADDITIVE
        return ANYTHING if self.unmarked(operation) else ADDITIVE

    def of_DeleteModel(self, operation, app, model):
        return "older code still asks for its table"

    def of_RenameModel(self, operation, app, model):
        return "older code asks for its table by the old name"

    def of_AlterModelTable(self, operation, app, model):
        default = f"{app}_{model.name_lower}"
        same = (operation.table or default) == (model.options.get("db_table") or default)
        return ADDITIVE if same else "older code asks for its table by the old name"

    def of_AlterOrderWithRespectTo(self, operation, app, model):
        return "the column _order comes without a default of the database, or goes"

    def of_AlterUniqueTogether(self, operation, app, model):
        new = {tuple(fields) for fields in operation.option_value or ()}
        old = {tuple(fields) for fields in model.options.get("unique_together") or ()}
        return ADDITIVE if new <= old else "it refuses rows that older code may write"

    def of_AddConstraint(self, operation, app, model):
        return "it refuses rows that older code may write"

    of_AddConstraintNotValid = of_AddConstraint

    def of_RemoveField(self, operation, app, model):
        return "older code still asks for it" if self.has_column(model.fields[operation.name]) else ADDITIVE

    def of_RenameField(self, operation, app, model):
        field = model.fields[operation.old_name]
        return ADDITIVE if field.db_column or not self.has_column(field) else "older code asks for it by the old name"

    def of_AddField(self, operation, app, model):
        field = operation.field
        if field.many_to_many or not self.has_column(field) or getattr(field, "generated", False):
            return ADDITIVE
        if field.primary_key:
            return "older code does not know the key of its rows"
        if field.null:
            return ADDITIVE
        if not has_default(field):
            return "older code inserts rows without it, and the database has no default for it (db_default)"
        return "all rows of older code would have the same value" if field.unique else ADDITIVE

    def of_AlterField(self, operation, app, model):
        return self.narrower(operation.name, model.fields[operation.name], operation.field)

    def narrower(self, name, old, new):
        """Why a field takes less than before, or is another, or ADDITIVE."""
        if old.many_to_many or new.many_to_many:
            same = old.many_to_many and new.many_to_many and table(old) == table(new)
            return ADDITIVE if same else "its table is another"
        if getattr(old, "generated", False) or getattr(new, "generated", False):
            return "its value may be computed in another way"
        if column(name, old) != column(name, new):
            return "older code asks for it by the old name"
        if old.null and not new.null:
            return "older code may write NULL"
        if new.unique and not old.unique:
            return "it refuses values twice, which older code may write"
        if has_default(old) and not has_default(new):
            return "older code leaves its value to the database"
        if getattr(old, "db_collation", None) != getattr(new, "db_collation", None):
            return "its values are compared in another way"
        if old.remote_field or new.remote_field:
            same = old.remote_field and new.remote_field and target(old) == target(new)
            same = same and (getattr(old, "db_constraint", True) or not getattr(new, "db_constraint", True))
            return ADDITIVE if same else "it refers to something else"
        return ADDITIVE if self.takes(old, new) else "its type takes less than before, or is another"

    def takes(self, old, new):
        """Whether a column has room for all that it had before."""
        kinds = old.get_internal_type(), new.get_internal_type()
        if all(kind in INTEGERS for kind in kinds):
            (kind, sign, size), (new_kind, new_sign, new_size) = (INTEGERS[kind] for kind in kinds)
            return kind == new_kind and size <= new_size and new_sign in ("", sign)
        if kinds[0] in TEXTS and kinds[1] in TEXTS:
            return new.max_length is None or (old.max_length is not None and old.max_length <= new.max_length)
        if kinds[0] in TEXTS and kinds[1] == "TextField":
            return True
        if kinds == ("DecimalField", "DecimalField"):
            whole = [field.max_digits - field.decimal_places for field in (old, new)]
            return whole[0] <= whole[1] and old.decimal_places <= new.decimal_places
        return kinds[0] == kinds[1] and self.type(old) == self.type(new)

    def type(self, field):
        try:
            return field.db_type(self.connection)
        # A field of somebody's own may want to know its model, which it does not have here.
        except Exception:
            return object()

    def has_column(self, field):
        if isinstance(field, ForeignObject):
            return isinstance(field, ForeignKey)
        return field.many_to_many or self.type(field) is not None


def has_default(field):
    return getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED


def column(name, field):
    return field.db_column or (f"{name}_id" if isinstance(field, ForeignKey) else name)


def target(field):
    """What a foreign key refers to; its own class only says whether it is unique."""
    options = field.deconstruct()[3]
    return str(options.get("to")).lower(), options.get("to_field")


def table(field):
    options = field.deconstruct()[3]
    return str(options.get("to")).lower(), str(options.get("through")).lower(), options.get("db_table")
