"""Who is there: the roles that bear the portal's marker, and those it knows by OID or name."""

from collections.abc import Sequence

from psycopg import sql

from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.roles import LAST_OID, Role, marked_slice, with_oids
from accessflows.connectors.protocol import (
    GrantIdentity,
    ManagedRole,
    Membership,
    RoleListing,
    Target,
    role_name_of,
)

_MEMBERSHIPS = sql.SQL(
    "SELECT m.member::bigint AS oid, g.rolname AS name, bool_or(m.admin_option) AS admin,"
    " bool_or(COALESCE((to_jsonb(m)->>'set_option')::boolean, true)) AS may_set"
    " FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
    " WHERE m.member = ANY(%(oids)s::oid[]) GROUP BY m.member, g.rolname ORDER BY 2"
)


def list_managed_roles(
    target: Target,
    portal_id: str,
    identities: Sequence[GrantIdentity],
    *,
    after: int = 0,
    up_to: int | None = None,
) -> RoleListing:
    """Read what is there of this portal. Roles of ours that lost their marker are known by OID."""
    with broker_session(target) as session:
        marked, last = marked_slice(session, portal_id, after, up_to or LAST_OID)
        roles = {role.oid: role for role in marked}
        oids = [one.role_oid for one in identities if after < one.role_oid <= last]
        unmarked = [oid for oid in oids if oid not in roles]
        roles |= {role.oid: role for role in with_oids(session, unmarked)}
        memberships = _memberships(session, sorted(roles))
        found = tuple(
            _found(session, role, memberships.get(role.oid, ())) for role in roles.values()
        )
        reached = None if last == LAST_OID else last
        return RoleListing(session.server_time, session.system_identifier, found, reached)


def _memberships(session: Session, oids: Sequence[int]) -> dict[int, tuple[Membership, ...]]:
    """Those of many are the same few, and kept once."""
    found: dict[int, tuple[Membership, ...]] = {}
    alike: dict[tuple[Membership, ...], tuple[Membership, ...]] = {}
    for row in session.connection.execute(_MEMBERSHIPS, {"oids": list(oids)}) if oids else ():
        may_set = session.has_membership_options and row["may_set"]
        one = Membership(row["name"], admin=row["admin"], may_set=may_set)
        together = (*found.get(row["oid"], ()), one)
        found[row["oid"]] = alike.setdefault(together, together)
    return found


def _found(session: Session, role: Role, memberships: tuple[Membership, ...]) -> ManagedRole:
    marker = role.marker
    return ManagedRole(
        identity=GrantIdentity(
            role_name_of(marker.grant_id) if marker else role.name,
            role.oid,
            session.system_identifier,
        ),
        name=role.name,
        grant_id=marker.grant_id if marker else None,
        portal_id=marker.portal_id if marker else "",
        deadline=marker.deadline if marker else None,
        valid_until=role.valid_until,
        can_login=role.can_login,
        has_attributes=role.has_attributes,
        memberships=memberships,
    )
