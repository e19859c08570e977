"""Finding events by the beginnings of words of what they tell: actor, target, request and address.

Labels are parted at blanks and at the signs of addresses, so that ``nov`` and ``petra.nov`` both find
``Petra Novak <petra.novak@example.org>``. On PostgreSQL an index over all words of an event leads to
the few rows whose labels are then read (migration 0010); SQLite reads each. docs/decisions/0033 has
the choice.
"""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    Lookup = models.Lookup[Any]
else:
    Lookup = models.Lookup

SHORTEST = 3  # so many letters of a word's beginning lead to fewer rows than they cost
SIGNS = ".@<>()-_:/,+'\""
_BLANKS = str.maketrans(dict.fromkeys(SIGNS, " "))
_PARTED_SQL = "translate(lower({}), '{}', '{}')".format(
    "{}", SIGNS.replace("'", "''"), " " * len(SIGNS)
)
_LABELS_SQL = "{0}actor_label || ' ' || {0}target_label || ' ' || {0}request_label || ' ' || COALESCE(host({0}address), '')"  # fmt: skip
# The index is made over exactly this, so it must be asked for in the same words.
WORDS_SQL = f"array_to_tsvector(array_remove(string_to_array({_PARTED_SQL.format(_LABELS_SQL)}, ' '), ''))"  # fmt: skip


def parted(text: str) -> list[str]:
    return text.translate(_BLANKS).split()


class BeginsAt(Lookup):
    """``actor_label__begins_at="petra.nov"``: a word of the label begins with it."""

    lookup_name = "begins_at"

    def get_prep_lookup(self) -> str:
        return " ".join(_escaped(word) for word in parted(str(self.rhs)))

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        label, given = self.process_lhs(compiler, connection)
        for sign in SIGNS:
            label = f"replace({label}, '{sign.replace(chr(39), chr(39) * 2)}', ' ')"
        return f"(' ' || {label}) LIKE %s ESCAPE '\\'", (*given, f"% {self.rhs}%")

    def as_postgresql(
        self, compiler: Any, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        """A condition the planner knows nothing of: its guess at LIKE is far off, and the index has
        said already that few rows are left. Most labels hold no such word and need not be parted."""
        label, given = self.process_lhs(compiler, connection)
        longest = max(str(self.rhs).split(" "), key=len)
        holds = f"lower({label}) LIKE lower(%s)"
        begins = f"(' ' || {_PARTED_SQL.format(label)}) LIKE lower(%s)"
        values = (*given, f"%{longest}%", *given, f"% {self.rhs}%")
        return f"COALESCE({holds} AND {begins}, FALSE)", values


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def asked_of_index(text: str) -> str:
    """Return what the index is asked for, as a tsquery; it may find more than is meant. "" asks nothing.

    Of what is typed without a blank only the last word may go on. Short beginnings are left out if
    there is more: they are looked for among what is found.
    """
    whole, begun = [], []
    for parts in map(parted, text.split()):
        whole += [_quoted(word) for word in parts[:-1]]
        begun += parts[-1:]
    long = [word for word in begun if len(word) >= SHORTEST] or ([] if whole else begun)
    return " & ".join(whole + [f"{_quoted(word)}:*" for word in long])


class TellsWords(models.Expression):
    """Whether an event's words fit a tsquery, as the index knows."""

    conditional = True

    def __init__(self, asked: str) -> None:
        super().__init__(output_field=models.BooleanField())
        self._asked = asked

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str]]:
        table = compiler.query.get_initial_alias()
        words = WORDS_SQL.format(f"{connection.ops.quote_name(table)}.")
        return f"{words} @@ lower(%s)::tsquery", (self._asked,)


def _quoted(word: str) -> str:
    """A lexeme as text of a tsquery has it (PostgreSQL manual, 8.11.2). Quotes part words."""
    doubled = word.replace("\\", "\\\\")
    return f"'{doubled}'"


models.CharField.register_lookup(BeginsAt)
