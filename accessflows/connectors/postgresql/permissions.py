"""Which roles may be granted at all.

A capability role is a NOLOGIN role without attributes. It is checked together with all roles it is a member
of, whatever the options of the membership: options can be changed later.
"""

from collections.abc import Sequence

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.connection import BrokerConnection, Query
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE, check_role_name
from accessflows.connectors.protocol import grant_id_of

_REACHABLE = sql.SQL(
    "WITH RECURSIVE reach(oid, handed_on) AS ("
    "  SELECT oid, false FROM pg_roles WHERE rolname = %(name)s"
    "  UNION SELECT m.roleid, m.admin_option FROM pg_auth_members m JOIN reach ON m.member = reach.oid"
    ") SELECT r.oid::bigint AS oid, r.rolname AS name, r.rolname = %(name)s AS itself, r.rolcanlogin AS login,"
    " reach.handed_on,"
    " EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass"
    "   AND refobjid = r.oid AND deptype = 'o') AS owns,"
    " r.oid < 16384 AND r.rolname LIKE 'pg\\_%%' AS predefined,"
    " array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END,"
    "   CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,"
    "   CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,"
    "   CASE WHEN r.rolreplication THEN 'REPLICATION' END,"
    "   CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes"
    " FROM reach JOIN pg_roles r USING (oid) ORDER BY itself DESC, name"
)


def reachable_roles(permission: str) -> Query:
    """Return the query for a role, first, and every role it is a member of."""
    return _REACHABLE, {"name": permission}


def refusal_of(connection: BrokerConnection, permission: str) -> str:
    """Return why this role must not be granted, or an empty string."""
    return name_refusal(permission) or roles_refusal(
        permission, connection.rows(*reachable_roles(permission))
    )


def name_refusal(permission: str) -> str:
    """Return why the name alone rules the role out, or an empty string; then it is safe to query."""
    try:
        check_role_name(permission)
    except TargetRefused as refused:
        return refused.sentence
    if permission == GRAVEYARD_ROLE or grant_id_of(permission):
        return f"{permission} is one of the portal's own roles. Choose another role."
    return ""


def roles_refusal(permission: str, reachable: Sequence[DictRow]) -> str:
    """Return why the result of `reachable_roles` rules the role out, or an empty string."""
    if not reachable:
        return (
            f"The target has no role named {permission}. It was dropped or renamed. "
            "Choose another permission or create it again."
        )
    if reachable[0]["login"]:
        return (
            f"{permission} can log in, so it is an account and not a capability role. "
            "Create a NOLOGIN role with the same rights instead."
        )
    for role in reachable:
        if reason := _refusal(role):
            via = "" if role["itself"] else f", as a member of {role['name']},"
            return f"{permission}{via} {reason}. It must not be granted; use a narrower role."
    return ""


def raise_if_refused(reason: str) -> None:
    """Raise TargetRefused if there is a reason."""
    if reason:
        raise TargetRefused(reason)


def _refusal(role: DictRow) -> str:
    if role["attributes"]:
        return f"has the attribute {' and '.join(role['attributes'])}"
    if role["predefined"]:
        return "has rights far beyond one database through a predefined role"
    if role["handed_on"]:
        return "could grant that membership to others permanently (ADMIN OPTION)"
    return ""
