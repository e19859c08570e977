"""Finding people by the beginnings of words of their name or e-mail address.

``User.search_words`` holds those words, folded: lower case, without accents, split at everything
that is neither letter nor digit. On PostgreSQL an index over them answers (migration 0002); SQLite,
where few people are, looks at each. docs/decisions/0022 has the choice.
"""

import unicodedata
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    Lookup = models.Lookup[Any]
else:
    Lookup = models.Lookup

MOST_WORDS = 8
LONGEST = 400  # characters kept, so that an index takes them
# The index is made over exactly this, so it must be asked for in the same words.
WORDS_SQL = "array_to_tsvector(string_to_array({}, ' '))"


def folded_words(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = (char for char in plain if not unicodedata.combining(char))
    return "".join(char if char.isalnum() else " " for char in kept).split()


def words_of(name: str, email: str) -> str:
    """Return what is kept of a person: the words of the name, then those of the address."""
    return " ".join([*folded_words(name), *folded_words(email)])[:LONGEST].rstrip()


class FoldedWordsField(models.CharField):  # type: ignore[type-arg]
    """The words of a person's name and address, made anew whenever the field is written."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": LONGEST, **options})

    def pre_save(self, model_instance: Any, add: bool) -> str:  # noqa: FBT001
        words = words_of(model_instance.name, model_instance.email)
        setattr(model_instance, self.attname, words)
        return words

    def deconstruct(self) -> Any:
        """To a migration it is a text."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.CharField", args, options


class BeginsWords(Lookup):
    """``search_words__begins_words=["pet", "exa"]``: each begins one of the words."""

    lookup_name = "begins_words"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, given = self.process_lhs(compiler, connection)
        found = " AND ".join(f"(' ' || {column}) LIKE %s" for _ in self.rhs)
        values = [value for word in self.rhs for value in (*given, f"% {word}%")]
        return f"({found})", tuple(values)

    def as_postgresql(
        self, compiler: Any, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        column, given = self.process_lhs(compiler, connection)
        asked = " & ".join(f"'{word}':*" for word in self.rhs)  # letters and digits only
        return f"{WORDS_SQL.format(column)} @@ %s::tsquery", (*given, asked)


class LooksLike(BeginsWords):
    """``search_words__looks_like=["pet", "exa"]``: the same, by looking at each. No index is asked, and
    the planner knows nothing of it."""

    lookup_name = "looks_like"

    def as_postgresql(
        self, compiler: Any, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        found, values = self.as_sql(compiler, connection)
        return f"COALESCE({found}, FALSE)", values


models.CharField.register_lookup(BeginsWords)
models.CharField.register_lookup(LooksLike)
