"""The domain of an email as an SQL expression, with an index over exactly this text."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler


class EmailDomain(models.Func):
    """What follows the last "@" of an email, in lower case.

    Without parameters, so that both databases recognize the expression of the index
    (`apono_portal.users.models.User`). SQLite has no function for the last occurrence: what remains
    after trimming everything but "@" from the right ends with it.
    """

    arity = 1
    output_field = models.CharField()
    template = (
        "LOWER(SUBSTR(%(expressions)s, "
        "LENGTH(RTRIM(%(expressions)s, REPLACE(%(expressions)s, '@', ''))) + 1))"
    )

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        template = "LOWER(SPLIT_PART(%(expressions)s, '@', -1))"
        return self.as_sql(compiler, connection, template=template, **context)
