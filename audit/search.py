"""Word search over events: by the beginnings of words of actor, target, request and address.

Labels are split at spaces and at the punctuation of email addresses, so ``nov`` and ``petra.nov`` both
match ``Petra Novak <petra.novak@example.org>``. On PostgreSQL an index over all words of an event
finds candidates, whose labels are then compared; SQLite compares every row. docs/decisions/0017.
"""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    Lookup = models.Lookup[Any]
else:
    Lookup = models.Lookup

MIN_PREFIX_LENGTH = 3  # shorter prefixes match too many rows to be worth an index scan
PUNCTUATION = ".@<>()-_:/,+'\""
_TO_SPACES = str.maketrans(dict.fromkeys(PUNCTUATION, " "))
_SPLIT_SQL = "translate(lower({}), '{}', '{}')".format(
    "{}", PUNCTUATION.replace("'", "''"), " " * len(PUNCTUATION)
)
_LABELS_SQL = "{0}actor_label || ' ' || {0}target_label || ' ' || {0}request_label || ' ' || COALESCE(host({0}address), '')"  # fmt: skip
# The expression of the index. A query must use exactly this expression.
WORDS_SQL = f"array_to_tsvector(array_remove(string_to_array({_SPLIT_SQL.format(_LABELS_SQL)}, ' '), ''))"  # fmt: skip


def split_words(text: str) -> list[str]:
    return text.translate(_TO_SPACES).split()


class HasWordPrefix(Lookup):
    """``actor_label__has_word_prefix="petra.nov"``: these words follow each other in the label."""

    lookup_name = "has_word_prefix"

    def get_prep_lookup(self) -> str:
        return " ".join(_escape_like(word) for word in split_words(str(self.rhs)))

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        label, params = self.process_lhs(compiler, connection)
        for sign in PUNCTUATION:
            label = f"replace({label}, '{sign.replace(chr(39), chr(39) * 2)}', ' ')"
        return f"(' ' || {label}) LIKE %s ESCAPE '\\'", (*params, f"% {self.rhs}%")

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        """COALESCE hides the LIKE from the planner, whose estimate for it is far off; the index has
        left few rows by then. The first condition spares most labels the split."""
        label, params = self.process_lhs(compiler, connection)
        longest = max(str(self.rhs).split(" "), key=len)
        contains = f"lower({label}) LIKE lower(%s)"
        matches = f"(' ' || {_SPLIT_SQL.format(label)}) LIKE lower(%s)"
        values = (*params, f"%{longest}%", *params, f"% {self.rhs}%")
        return f"COALESCE({contains} AND {matches}, FALSE)", values


def build_tsquery(text: str) -> str:
    """Return a tsquery for the index that matches all events that are meant, and perhaps others.

    Words joined by punctuation are whole but for the last, which is a prefix. Short prefixes are left
    out if anything else remains. "" if the text has no words.
    """
    words, prefixes = [], []
    for parts in map(split_words, text.split()):
        words += [_quote_lexeme(word) for word in parts[:-1]]
        prefixes += parts[-1:]
    selective = [prefix for prefix in prefixes if len(prefix) >= MIN_PREFIX_LENGTH]
    if not selective and not words:
        selective = prefixes
    return " & ".join(words + [f"{_quote_lexeme(prefix)}:*" for prefix in selective])


class MatchesWords(models.Expression):
    """Whether the words of an event match a tsquery."""

    conditional = True

    def __init__(self, tsquery: str) -> None:
        super().__init__(output_field=models.BooleanField())
        self._tsquery = tsquery

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str]]:
        table = compiler.query.get_initial_alias()
        words = WORDS_SQL.format(f"{connection.ops.quote_name(table)}.")
        return f"{words} @@ lower(%s)::tsquery", (self._tsquery,)


def _escape_like(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _quote_lexeme(word: str) -> str:
    """Quote a lexeme for a tsquery (PostgreSQL manual, 8.11.2). `split_words` has removed quotes."""
    escaped = word.replace("\\", "\\\\")
    return f"'{escaped}'"


models.CharField.register_lookup(HasWordPrefix)
