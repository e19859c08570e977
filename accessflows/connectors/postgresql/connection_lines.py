"""How to use a credential: psql and a connection URI (PostgreSQL manual: psql; connection strings)."""

import shlex
from urllib.parse import quote, urlencode

from accessflows.connectors.protocol import ConnectionLine, Credential, GrantSpec, Target

DEFAULT_SSLMODE = "prefer"


def connection_lines(
    target: Target, spec: GrantSpec, credential: Credential
) -> tuple[ConnectionLine, ...]:
    """Return a psql command and a URI, both without the password."""
    return (
        ConnectionLine("Command", psql_command(credential, sslmode=target.sslmode)),
        ConnectionLine("Connection URI", connection_uri(credential, sslmode=target.sslmode)),
    )


def psql_command(credential: Credential, *, sslmode: str = DEFAULT_SSLMODE) -> str:
    """Return a command that can be pasted into a shell; psql prompts for the password.

    ``-d`` takes a connection string if its value has ``=`` or starts like a URL, so such database
    names, and an sslmode, are written as one.
    """
    database = credential.resource
    if sslmode != DEFAULT_SSLMODE or "=" in database or "://" in database or not database:
        database = f"dbname={_quoted(database)}"
        if sslmode != DEFAULT_SSLMODE:
            database += f" sslmode={sslmode}"
    arguments = ["psql", "-h", credential.host, "-p", str(credential.port)]
    return shlex.join([*arguments, "-U", credential.user, "-d", database])


def connection_uri(credential: Credential, *, sslmode: str = DEFAULT_SSLMODE) -> str:
    host = f"[{credential.host}]" if ":" in credential.host else credential.host
    address = f"{quote(credential.user, safe='')}@{host}:{credential.port}"
    options = "?" + urlencode({"sslmode": sslmode}) if sslmode != DEFAULT_SSLMODE else ""
    return f"postgresql://{address}/{quote(credential.resource, safe='')}{options}"


def _quoted(value: str) -> str:
    if value and all(char.isalnum() or char in "_-." for char in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
