"""The SQL an administrator runs once on a target, and the same lines as remedies in preflight.

Everything here may be run again.
"""

from collections.abc import Mapping, Sequence

from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE, check_name, check_role_name

MEMBERSHIP_OPTIONS_SINCE = 16


def identifier(name: str) -> str:
    """A quoted identifier. psycopg's own quoting needs a connection for its text form."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
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
    """All that a target needs. `version` is the major one, `capabilities` databases by role.

    Without `password` the broker is created without one: set it with `\\password` in psql, which
    keeps it out of the server's log. `close_public` takes CONNECT from PUBLIC on these databases,
    which applications that rely on it will notice.
    """
    check_role_name(broker, "broker role")
    databases = sorted({database for each in capabilities.values() for database in each})
    lines = [
        create_role_sql(broker, "LOGIN CREATEROLE"),
        create_role_sql(GRAVEYARD_ROLE, "NOLOGIN"),
    ]
    if password:
        lines.append(f"ALTER ROLE {identifier(broker)} PASSWORD {literal(password)};")
    lines += [graveyard_sql(version, broker), signal_sql(version, broker)]
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
    for capability, allowed in capabilities.items():
        lines += [connect_sql(database, capability) for database in allowed]
    return "\n".join(lines) + "\n"


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


def admin_option_sql(broker: str, capability: str) -> str:
    """The broker may hand the capability on, without having it itself."""
    return (
        f"GRANT {identifier(capability)} TO {identifier(broker)}"
        " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;"
    )


def admin_of_grant_sql(version: int, broker: str, login: str) -> str:
    """Another broker than the one that made a grant's login may end it, clean up after it and drop it."""
    options = (
        " WITH ADMIN TRUE, INHERIT TRUE, SET TRUE" if version >= MEMBERSHIP_OPTIONS_SINCE else ""
    )
    return f"GRANT {identifier(login)} TO {identifier(broker)}{options};"


def connect_sql(database: str, role: str) -> str:
    return f"GRANT CONNECT ON DATABASE {identifier(database)} TO {identifier(role)};"


def close_public_sql(database: str) -> str:
    return f"REVOKE CONNECT, TEMPORARY ON DATABASE {identifier(database)} FROM PUBLIC;"


def graveyard_place_sql(kind: str, name: str) -> str:
    """Routines, operators and publications can be moved only to a role that could have made them.

    `kind` is SCHEMA or DATABASE.
    """
    return f"GRANT CREATE ON {kind} {identifier(name)} TO {identifier(GRAVEYARD_ROLE)};"
