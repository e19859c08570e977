"""The portal's accounts on a server: what the catalog says of them, and their row in the marker table."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pymysql
import structlog

from accessflows.connectors.errors import ConnectorError, TargetMismatch, TargetRefused
from accessflows.connectors.mariadb.connection import Broker, address, code_of, placeholders
from accessflows.connectors.markers import derive_mark
from accessflows.connectors.protocol import GrantIdentity, GrantSpec, Membership, grant_id_of

log = structlog.get_logger(__name__)

HOST = "%"
TABLE_MISSING = {1142, 1146}

_ACCOUNTS = (
    "SELECT User AS name, Host AS host, JSON_VALUE(Priv, '$.account_locked') AS is_locked,"
    " JSON_VALUE(Priv, '$.access') AS access FROM mysql.global_priv WHERE User IN ({names})"
    " AND JSON_VALUE(Priv, '$.is_role') IS NULL"
)
_MARKERS = (
    "SELECT login, portal_id, mark, deadline, is_contained FROM apono_portal.grants"
    " WHERE login IN ({names})"
)
_MEMBERSHIPS = (
    "SELECT User AS name, Role AS role, Admin_option AS admin FROM mysql.roles_mapping"
    " WHERE User IN ({names}) AND Host <> '' ORDER BY Role"
)


@dataclass(frozen=True)
class Marker:
    """What tells an account of the portal from others."""

    portal_id: str
    mark: str
    deadline: datetime
    is_contained: bool


@dataclass(frozen=True)
class Account:
    """What the server has under a grant's name. `hosts` are those of its accounts, usually one."""

    name: str
    hosts: tuple[str, ...] = ()
    is_locked: bool = True
    has_global_rights: bool = False
    memberships: tuple[Membership, ...] = ()
    marker: Marker | None = None

    @property
    def exists(self) -> bool:
        return bool(self.hosts)


def read_accounts(broker: Broker, names: Sequence[str]) -> dict[str, Account]:
    """Return what there is under each name."""
    if not names:
        return {}
    within = placeholders(names)
    catalog = defaultdict(list)
    for row in broker.rows(_ACCOUNTS.format(names=within), names):
        catalog[row["name"]].append(row)
    roles = defaultdict(list)
    for row in broker.rows(_MEMBERSHIPS.format(names=within), names):
        roles[row["name"]].append(Membership(row["role"], admin=row["admin"] == "Y", may_set=False))
    markers = _read_markers(broker, names)
    return {
        name: Account(
            name,
            tuple(row["host"] for row in catalog[name]),
            all(str(row["is_locked"]) in {"true", "1"} for row in catalog[name]),
            any(str(row["access"]) != "0" for row in catalog[name]),
            tuple(roles[name]),
            markers.get(name),
        )
        for name in names
    }


def _read_markers(broker: Broker, names: Sequence[str]) -> dict[str, Marker | None]:
    """Return the markers; none if their table is gone, which must not keep access open."""
    try:
        rows = broker.rows(_MARKERS.format(names=placeholders(names)), names)
    except pymysql.MySQLError as error:
        if code_of(error) not in TABLE_MISSING:
            raise
        log.warning("markers_missing", target=address(broker.target), error=code_of(error))
        return {}
    return {
        row["login"]: _marker(row["portal_id"], row["mark"], row["deadline"], row["is_contained"])
        for row in rows
    }


def read_account(broker: Broker, name: str) -> Account:
    return read_accounts(broker, [name])[name]


def require_marker(account: Account, spec: GrantSpec) -> Marker:
    """Return the marker of a grant's account. Raises TargetMismatch for anybody else's."""
    marker = account.marker
    if (
        marker is None
        or (marker.portal_id, marker.mark) != (spec.portal_id, derive_mark(spec.login))
        or any(host != HOST for host in account.hosts)
    ):
        raise TargetMismatch(
            f"An account named {spec.login} exists but was not created for this grant. It was not "
            "touched. Find out who created it and drop it."
        )
    return marker


def mismatches(
    broker: Broker, accounts: dict[str, Account], identities: Iterable[GrantIdentity]
) -> dict[GrantIdentity, ConnectorError]:
    """Return why accounts must not be touched. One without a marker is the grant's: it was created
    under this name, on this server."""
    refused: dict[GrantIdentity, ConnectorError] = {}
    for one in identities:
        marker = accounts[one.name].marker if one.name in accounts else None
        if grant_id_of(one.name) is None:
            refused[one] = TargetRefused(f"{one.name} is not the name of a grant's account.")
        elif error := other_server(broker, one):
            refused[one] = error
        elif marker and (
            marker.mark != one.mark
            or marker.portal_id != (broker.target.portal_id or marker.portal_id)
        ):
            refused[one] = TargetMismatch(
                f"The account {one.name} belongs to the portal {marker.portal_id}. It was not touched."
            )
    return refused


def other_server(broker: Broker, identity: GrantIdentity) -> ConnectorError | None:
    try:
        broker.check_server(identity.server_id)
    except ConnectorError as error:
        return error
    return None


def _marker(portal_id: str, mark: str, deadline: str, is_contained: object) -> Marker | None:
    try:
        end = datetime.fromisoformat(deadline)
    except ValueError:
        return None
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    return Marker(portal_id, mark, end, bool(is_contained))
