"""User search by the beginnings of words in name and email.

``User.search_words`` holds those words in lower case, without accents, split at everything that is
neither a letter nor a digit. PostgreSQL has an index over them (migration 0002). SQLite, meant for
few users, scans. docs/decisions/0012 explains the choice.
"""

import unicodedata
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    Lookup = models.Lookup[Any]
else:
    Lookup = models.Lookup

MAX_WORDS = 8
MAX_LENGTH = 400  # characters, so that a value fits into an index
# The index is built over exactly this expression, so queries must use the same.
WORDS_SQL = "array_to_tsvector(string_to_array({}, ' '))"


def split_words(text: str) -> list[str]:
    """Return the words of a text in the form in which they are compared."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    base = (char for char in folded if not unicodedata.combining(char))
    return "".join(char if char.isalnum() else " " for char in base).split()


class SearchWordsField(models.CharField):  # type: ignore[type-arg]
    """The words of a user's name, then those of the email, computed on every save."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": MAX_LENGTH, **options})

    def pre_save(self, model_instance: models.Model, add: bool) -> str:  # noqa: FBT001
        user: Any = model_instance
        words = " ".join(split_words(user.name) + split_words(user.email))[:MAX_LENGTH].rstrip()
        setattr(user, self.attname, words)
        return words

    def deconstruct(self) -> Any:
        """Appear in migrations as a plain CharField."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.CharField", args, options


class WordSearch(Lookup):
    """``search_words__word_search=["pet", "exa"]``: each of them starts a word."""

    lookup_name = "word_search"
    prepare_rhs = False

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        condition = " AND ".join(f"(' ' || {column}) LIKE %s" for _ in self.rhs)
        values = [value for word in self.rhs for value in (*params, f"% {word}%")]
        return f"({condition})", tuple(values)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        tsquery = " & ".join(f"'{word}':*" for word in self.rhs)  # letters and digits only
        return f"{WORDS_SQL.format(column)} @@ %s::tsquery", (*params, tsquery)


class WordScan(WordSearch):
    """The same without the index: for few rows, with a selectivity unknown to the planner."""

    lookup_name = "word_scan"

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        condition, values = self.as_sql(compiler, connection)
        return f"COALESCE({condition}, FALSE)", values


models.CharField.register_lookup(WordSearch)
models.CharField.register_lookup(WordScan)
