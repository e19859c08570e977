"""The psql line of a credential (PostgreSQL manual, psql; libpq, connection strings)."""

import re
import shlex

from accessflows.connectors.protocol import Credential

DEFAULT_SSLMODE = "prefer"


def psql_command(credential: Credential, *, sslmode: str = DEFAULT_SSLMODE) -> str:
    """Return a line that works when pasted into a shell, without the password: psql asks for it.

    What follows ``-d`` is read as a connection string when it holds ``=`` or begins like an address,
    so such names, and an sslmode, are written as one.
    """
    database = credential.database
    if sslmode != DEFAULT_SSLMODE or "=" in database or "://" in database or not database:
        database = f"dbname={_quoted(database)}"
        if sslmode != DEFAULT_SSLMODE:
            database += f" sslmode={sslmode}"
    words = ["psql", "-h", credential.host, "-p", str(credential.port)]
    return shlex.join([*words, "-U", credential.user, "-d", database])


def options_of(line: str) -> list[str]:
    """Return a psql line cut before each option, for a page that wraps it there. " ".join undoes it."""
    return re.split(r" (?=-[a-zA-Z] )", line)


def _quoted(value: str) -> str:
    if value and all(char.isalnum() or char in "_-." for char in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
