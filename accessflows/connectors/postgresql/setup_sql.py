"""The SQL an administrator runs once on a target, also shown as the remedies of failed checks.

All of it can be run again.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE, check_name, check_role_name

MEMBERSHIP_OPTIONS_SINCE = 16
SCRAM_ITERATIONS = 4096
RESERVED_CONNECTIONS = "ALTER SYSTEM SET reserved_connections = 5; -- then restart"
NO_PREPARED_TRANSACTIONS = "ALTER SYSTEM SET max_prepared_transactions = 0; -- then restart"


def identifier(name: str) -> str:
    """Quote an identifier. psycopg's own quoting needs a connection for its text form."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string literal."""
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def broker_setup_sql(
    version: int,
    *,
    broker: str,
    capabilities: Mapping[str, Sequence[str]],
    password: str = "",
    close_public: bool = True,
) -> str:
    """Return all SQL a target needs. `version` is the major one, `capabilities` databases by role.

    Without `password` the broker is created without one: set it with `\\password` in psql, which keeps it
    out of the server's log. `close_public` revokes CONNECT from PUBLIC on these databases, which affects
    applications that rely on it.
    """
    check_role_name(broker, "broker role")
    databases = sorted({name for names in capabilities.values() for name in names})
    lines = [
        create_role_sql(broker, "LOGIN CREATEROLE"),
        create_role_sql(GRAVEYARD_ROLE, "NOLOGIN"),
    ]
    if password:
        lines.append(f"ALTER ROLE {identifier(broker)} PASSWORD {literal(password)};")
    lines += [graveyard_sql(version, broker), signal_sql(version, broker)]
    if version >= MEMBERSHIP_OPTIONS_SINCE:
        lines.append(reserved_sql(broker))
    else:
        lines.append(passwords_sql(broker))
    for capability in capabilities:
        check_role_name(capability)
        lines.append(create_role_sql(capability, "NOLOGIN"))
        if version >= MEMBERSHIP_OPTIONS_SINCE:
            lines.append(admin_option_sql(broker, capability))
    for database in databases:
        check_name(database, "database")
        if close_public:
            lines.append(close_public_sql(database))
        lines.append(connect_sql(database, broker))
    for capability, names in capabilities.items():
        lines += [connect_sql(database, capability) for database in names]
    return "\n".join(lines) + "\n"


def scram_verifier(password: str) -> str:
    """Return what a server stores for an ASCII password (RFC 5803), which keeps it out of its log."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(SCRAM_ITERATIONS, *parts)


def create_role_sql(role: str, attributes: str) -> str:
    return (
        f"DO $$ BEGIN CREATE ROLE {identifier(role)}; EXCEPTION WHEN duplicate_object THEN NULL;"
        f" END $$;\nALTER ROLE {identifier(role)} {attributes};"
    )


def graveyard_sql(version: int, broker: str) -> str:
    options = " WITH INHERIT TRUE, SET TRUE" if version >= MEMBERSHIP_OPTIONS_SINCE else ""
    return f"GRANT {identifier(GRAVEYARD_ROLE)} TO {identifier(broker)}{options};"


def signal_sql(version: int, broker: str) -> str:
    options = " WITH INHERIT TRUE, SET FALSE" if version >= MEMBERSHIP_OPTIONS_SINCE else ""
    return f"GRANT pg_signal_backend TO {identifier(broker)}{options};"


def reserved_sql(broker: str) -> str:
    """Let the broker use the connections of `reserved_connections`, since version 16."""
    return (
        f"GRANT pg_use_reserved_connections TO {identifier(broker)} WITH INHERIT TRUE, SET FALSE;"
    )


def passwords_sql(broker: str) -> str:
    """Let the broker see whether a capability role has a password, before version 16.

    There, CREATEROLE lets it change any password anyway.
    """
    return f"GRANT SELECT (oid, rolpassword) ON pg_catalog.pg_authid TO {identifier(broker)};"


def database_limits_sql(databases: Sequence[str], connections: int) -> str:
    """Share connections among the databases."""
    limit = max(connections // max(len(databases), 1), 1)
    return "\n".join(
        f"ALTER DATABASE {identifier(name)} CONNECTION LIMIT {limit};" for name in databases
    )


def admin_option_sql(broker: str, capability: str) -> str:
    """Let the broker grant the capability role without using its rights itself."""
    return (
        f"GRANT {identifier(capability)} TO {identifier(broker)}"
        " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;"
    )


def admin_of_grant_sql(version: int, broker: str, login: str) -> str:
    """Let another broker than its creator contain, clean and drop a login."""
    options = (
        " WITH ADMIN TRUE, INHERIT TRUE, SET TRUE" if version >= MEMBERSHIP_OPTIONS_SINCE else ""
    )
    return f"GRANT {identifier(login)} TO {identifier(broker)}{options};"


def connect_sql(database: str, role: str) -> str:
    return f"GRANT CONNECT ON DATABASE {identifier(database)} TO {identifier(role)};"


def usage_sql(schema: str, role: str) -> str:
    return f"GRANT USAGE ON SCHEMA {identifier(schema)} TO {identifier(role)};"


def close_public_sql(database: str) -> str:
    return f"REVOKE CONNECT, TEMPORARY ON DATABASE {identifier(database)} FROM PUBLIC;"


def graveyard_create_sql(kind: str, name: str) -> str:
    """Let the graveyard role take over objects, which requires USAGE, and CREATE for some kinds.

    `kind` is SCHEMA or DATABASE.
    """
    rights = "USAGE, CREATE" if kind == "SCHEMA" else "CREATE"
    return f"GRANT {rights} ON {kind} {identifier(name)} TO {identifier(GRAVEYARD_ROLE)};"
