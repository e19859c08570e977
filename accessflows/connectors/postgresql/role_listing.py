"""Listing the portal's roles on a target: those with its marker, and those it knows by OID."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from psycopg import sql

from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.roles import (
    Role,
    identity_of,
    is_other_role,
    marked_batch,
    oid_of,
    roles_with_oids,
)
from accessflows.connectors.protocol import (
    AccountListing,
    GrantIdentity,
    ManagedAccount,
    Membership,
    Target,
    login_of,
)

_MEMBERSHIPS = sql.SQL(
    "SELECT m.member::bigint AS oid, g.rolname AS name, bool_or(m.admin_option) AS admin,"
    " bool_or(COALESCE((to_jsonb(m)->>'set_option')::boolean, true)) AS may_set"
    " FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
    " WHERE m.member = ANY(%(oids)s::oid[]) GROUP BY m.member, g.rolname ORDER BY 2"
)


def list_managed_accounts(
    target: Target,
    portal_id: str,
    identities: Sequence[GrantIdentity],
    *,
    after: str = "",
    up_to: str | None = None,
) -> AccountListing:
    """List the roles of this portal. Those that were renamed or lost their marker are recognized by OID.

    A renamed one is listed on the page of its login, and may be on that of its current name, too.
    """
    with connect_as_broker(target) as connection:
        marked, last = marked_batch(connection, portal_id, after, up_to)
        roles = {role.oid: role for role in marked}
        expected = {
            oid_of(identity): identity
            for identity in identities
            if after < identity.name
            and (last is None or identity.name <= last)
            and oid_of(identity) not in roles
        }
        roles |= {
            role.oid: role
            for role in roles_with_oids(connection, sorted(expected))
            if not is_other_role(expected[role.oid], role)
        }
        memberships = _memberships(connection, sorted(roles))
        return AccountListing(
            connection.server_time,
            connection.system_identifier,
            tuple(
                _managed_role(connection, role, memberships[role.oid]) for role in roles.values()
            ),
            last,
        )


def _memberships(connection: BrokerConnection, oids: Sequence[int]) -> dict[int, list[Membership]]:
    memberships: dict[int, list[Membership]] = defaultdict(list)
    for row in connection.execute(_MEMBERSHIPS, {"oids": list(oids)}) if oids else ():
        may_set = connection.has_membership_options and row["may_set"]
        memberships[row["oid"]].append(Membership(row["name"], admin=row["admin"], may_set=may_set))
    return memberships


def _managed_role(
    connection: BrokerConnection, role: Role, memberships: Iterable[Membership]
) -> ManagedAccount:
    marker = role.marker
    return ManagedAccount(
        identity=identity_of(
            login_of(marker.grant_id) if marker else role.name,
            role.oid,
            connection.system_identifier,
        ),
        name=role.name,
        grant_id=marker.grant_id if marker else None,
        portal_id=marker.portal_id if marker else "",
        deadline=marker.deadline if marker else None,
        valid_until=role.valid_until,
        can_login=role.can_login,
        has_attributes=role.has_attributes,
        memberships=tuple(memberships),
    )
