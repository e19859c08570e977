"""Which roles may be granted to people at all.

A capability role is a NOLOGIN role without attributes. It and all roles it is a member of are
looked at, whatever the options of the membership: options can be changed later.
"""

from collections.abc import Sequence

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.connection import Question, Session, broker_session
from accessflows.connectors.postgresql.names import GRAVEYARD_ROLE, check_role_name
from accessflows.connectors.protocol import Target, grant_id_of

_REACHABLE = sql.SQL(
    "WITH RECURSIVE reach(oid, handed_on) AS ("
    "  SELECT oid, false FROM pg_roles WHERE rolname = %(name)s"
    "  UNION SELECT m.roleid, m.admin_option FROM pg_auth_members m JOIN reach ON m.member = reach.oid"
    ") SELECT r.rolname AS name, r.rolname = %(name)s AS itself, r.rolcanlogin AS login,"
    " reach.handed_on,"
    " r.oid < 16384 AND r.rolname LIKE 'pg\\_%%' AS predefined,"
    " array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END,"
    "   CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,"
    "   CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,"
    "   CASE WHEN r.rolreplication THEN 'REPLICATION' END,"
    "   CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes"
    " FROM reach JOIN pg_roles r USING (oid) ORDER BY itself DESC, name"
)


def reachable_roles(permission: str) -> Question:
    """Asks for the role itself, first, and all it is a member of."""
    return _REACHABLE, {"name": permission}


def why_not(session: Session, permission: str) -> str:
    """The reason against granting this role, or an empty string."""
    return objection_to_name(permission) or objection_to_roles(
        permission, session.rows(*reachable_roles(permission))
    )


def objection_to_name(permission: str) -> str:
    """The reason that the name alone gives; without one it is safe to ask the target about it."""
    try:
        check_role_name(permission)
    except TargetRefused as refused:
        return refused.sentence
    if permission == GRAVEYARD_ROLE or grant_id_of(permission):
        return f"{permission} is one of the portal's own roles. Choose a role of your own."
    return ""


def objection_to_roles(permission: str, reachable: Sequence[DictRow]) -> str:
    """The reason found in the answer to `reachable_roles`, or an empty string."""
    if not reachable:
        return (
            f"The target has no role named {permission}. It was dropped or renamed; "
            "choose another permission or create it again."
        )
    if reachable[0]["login"]:
        return (
            f"{permission} can log in, so it is somebody's account and not a capability role. "
            f"Make a NOLOGIN role with the same rights and offer that."
        )
    for role in reachable:
        reason = _objection(role)
        if reason:
            through = "" if role["itself"] else f", being a member of {role['name']},"
            return f"{permission}{through} {reason}. It must not be granted; use a narrower role."
    return ""


def check_permission(target: Target, permission: str) -> None:
    """Raise TargetRefused if this permission must never be granted on this target."""
    with broker_session(target) as session:
        refuse(why_not(session, permission))


def refuse(reason: str) -> None:
    """Raise TargetRefused if there is a reason."""
    if reason:
        raise TargetRefused(reason)


def _objection(role: DictRow) -> str:
    if role["attributes"]:
        return f"has the attribute {' and '.join(role['attributes'])}"
    if role["predefined"]:
        return "reaches far beyond one database through a predefined role"
    if role["handed_on"]:
        return "could hand that membership on to others for good (ADMIN OPTION)"
    return ""
