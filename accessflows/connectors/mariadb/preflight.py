"""Checks of a server: the broker's rights, the marker table, the clock, and each role."""

from collections.abc import Iterator, Sequence

import pymysql

from accessflows.connectors.errors import ClockSkew, ConnectorError
from accessflows.connectors.mariadb import setup_commands
from accessflows.connectors.mariadb.connection import Broker, connect_as_broker
from accessflows.connectors.mariadb.permissions import RoleRights, administered_roles, all_roles
from accessflows.connectors.protocol import Check, Target
from accessflows.connectors.tls import encryption_check

MIN_VERSION = (10, 11)
_CATALOGS = ("global_priv", "roles_mapping", "db", "tables_priv", "proc", "event")


def preflight(
    target: Target, permissions: Sequence[str] | None = None, *, portal_id: str | None = None
) -> list[Check]:
    """Check every right the broker needs."""
    with connect_as_broker(target) as broker:
        try:
            broker.check_server("")
        except ConnectorError as error:
            return [Check.failed("version", error.sentence)]
        checks = [
            Check.passed("reachable", "The server accepts the broker."),
            encryption_check(target),
            _version(broker),
            _global_rights(broker),
            _catalogs(broker),
            _markers(broker),
            _clock(broker),
        ]
        if all(check.ok for check in checks):
            checks += _anonymous(broker)
            checks += _permissions(broker, permissions)
        return checks


def _version(broker: Broker) -> Check:
    numbers = tuple(int(part) for part in broker.version.split("-")[0].split(".")[:2])
    if numbers >= MIN_VERSION:
        return Check.passed("version", f"Version {broker.version.split('-')[0]}.")
    return Check.failed("version", f"Version {broker.version} is too old. Use 10.11 or newer.")


def _account(broker: Broker) -> str:
    name, _, host = str(broker.rows("SELECT CURRENT_USER() AS name")[0]["name"]).rpartition("@")
    return setup_commands.quoted_account(name, host)


def _global_rights(broker: Broker) -> Check:
    rows = broker.rows(
        "SELECT PRIVILEGE_TYPE AS name FROM information_schema.USER_PRIVILEGES"
        " WHERE GRANTEE = (SELECT CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))"
    )
    held = {str(row["name"]) for row in rows}
    missing = [right for right in setup_commands.GLOBAL_RIGHTS if right not in held]
    if "SUPER" in held:
        return Check.failed(
            "broker", "The broker has SUPER. Give it only the rights that the set-up names."
        )
    if missing:
        remedy = setup_commands.global_rights_sql(_account(broker))
        return Check.failed("broker", f"The broker lacks {', '.join(missing)}.", remedy)
    return Check.passed("broker", "The broker can create, lock, kill and drop logins.")


def _catalogs(broker: Broker) -> Check:
    try:
        for table in _CATALOGS:
            broker.rows(f"SELECT 1 FROM mysql.{table} LIMIT 1")  # noqa: S608 - constants
    except pymysql.MySQLError:
        remedy = setup_commands.catalog_sql(_account(broker))
        return Check.failed("catalog", "The broker can't read who may do what.", remedy)
    return Check.passed("catalog", "The broker can read who may do what.")


def _markers(broker: Broker) -> Check:
    try:
        broker.run("DELETE FROM apono_portal.grants WHERE login = ''")
    except pymysql.MySQLError:
        remedy = setup_commands.markers_remedy(_account(broker))
        return Check.failed(
            "markers", "The table that tells the portal's logins from others is missing.", remedy
        )
    return Check.passed("markers", "The portal can tell its logins from others.")


def _clock(broker: Broker) -> Check:
    try:
        broker.check_clock()
    except ClockSkew as error:
        return Check.failed("clock", error.sentence)
    seconds = abs(broker.clock_skew).total_seconds()
    return Check.passed("clock", f"Clocks agree within {seconds:.1f} s.")


def _anonymous(broker: Broker) -> Iterator[Check]:
    if broker.rows("SELECT 1 FROM mysql.global_priv WHERE User = ''"):
        yield Check.failed(
            "anonymous",
            "Anyone can sign in without a name: a login of the portal could act through that account.",
            "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;",
        )


def _permissions(broker: Broker, permissions: Sequence[str] | None) -> Iterator[Check]:
    administered, account = administered_roles(broker), _account(broker)
    for name in all_roles(broker):
        if permissions is not None and name not in permissions:
            continue
        refusal = RoleRights(broker, name).refusal(administered)
        if not refusal:
            yield Check.passed(f"Permission {name}", f"{name} can be granted.")
        else:
            remedy = setup_commands.admin_option_sql(name, account)
            remedy = remedy if name not in administered else ""
            yield Check.failed(f"Permission {name}", refusal, remedy)
