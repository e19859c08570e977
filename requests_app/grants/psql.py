"""The psql command for a credential (PostgreSQL manual: psql; libpq connection strings)."""

import re
import shlex

from accessflows.connectors.protocol import Credential

DEFAULT_SSLMODE = "prefer"


def psql_command(credential: Credential, *, sslmode: str = DEFAULT_SSLMODE) -> str:
    """Return a command that can be pasted into a shell; psql prompts for the password.

    ``-d`` takes a connection string if its value has ``=`` or starts like a URL, so such database
    names, and an sslmode, are written as one.
    """
    database = credential.database
    if sslmode != DEFAULT_SSLMODE or "=" in database or "://" in database or not database:
        database = f"dbname={_quoted(database)}"
        if sslmode != DEFAULT_SSLMODE:
            database += f" sslmode={sslmode}"
    arguments = ["psql", "-h", credential.host, "-p", str(credential.port)]
    return shlex.join([*arguments, "-U", credential.user, "-d", database])


def split_before_options(command: str) -> list[str]:
    """Split a psql command before each option, where a page may wrap it."""
    return re.split(r" (?=-[a-zA-Z] )", command)


def _quoted(value: str) -> str:
    if value and all(char.isalnum() or char in "_-." for char in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
