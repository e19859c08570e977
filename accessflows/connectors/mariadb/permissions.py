"""Roles as permissions: what they allow, and why some must not be granted."""

from collections.abc import Iterable, Sequence

from accessflows.connectors.mariadb.connection import Broker, placeholders
from accessflows.connectors.mariadb.setup_commands import SCHEMA
from accessflows.connectors.protocol import DiscoveredPermission

_ADMINISTERED = (
    "SELECT Role AS name FROM mysql.roles_mapping WHERE Admin_option = 'Y'"
    " AND CONCAT(User, '@', Host) = CURRENT_USER() ORDER BY Role"
)
_ROLES = (
    "SELECT User AS name FROM mysql.global_priv WHERE JSON_VALUE(Priv, '$.is_role') IS NOT NULL"
    " ORDER BY User"
)
_NESTED = "SELECT Role AS name, Admin_option AS admin FROM mysql.roles_mapping WHERE User IN ({names}) AND Host = ''"
_GLOBAL = (
    "SELECT User AS name FROM mysql.global_priv WHERE User IN ({names}) AND Host = ''"
    " AND JSON_VALUE(Priv, '$.access') <> '0'"
)
_SCHEMAS = "SELECT * FROM mysql.db WHERE User IN ({names}) AND Host = ''"
_TABLES = (
    "SELECT Db, Table_name AS name, Table_priv AS rights FROM mysql.tables_priv WHERE User IN ({names})"
    " AND Host = '' UNION ALL SELECT Db, CONCAT(Table_name, '.', Column_name), Column_priv"
    " FROM mysql.columns_priv WHERE User IN ({names}) AND Host = ''"
    " UNION ALL SELECT Db, Routine_name, Proc_priv FROM mysql.procs_priv WHERE User IN ({names})"
    " AND Host = ''"
)
_MATCHING = "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE %s"
_IS_CLOSED = "SELECT COUNT(*) AS number FROM (SELECT 'mysql' AS name UNION SELECT 'sys' UNION SELECT %s) AS one WHERE name LIKE %s"
# Objects made with these run with their definer's rights, or stop working when the definer is dropped.
_DEFINING = {
    "Create_view_priv": "views",
    "Create_routine_priv": "routines",
    "Alter_routine_priv": "routines",
    "Event_priv": "events",
    "Trigger_priv": "triggers",
}
MAX_DEPTH = 8


class RoleRights:
    """What a role and those granted to it allow, read once."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.name = name
        self.names, self.passes_on = _reachable(broker, name)
        within = placeholders(self.names)
        self.has_global = bool(broker.rows(_GLOBAL.format(names=within), self.names))
        self.schemas = broker.rows(_SCHEMAS.format(names=within), self.names)
        self.tables = broker.rows(_TABLES.format(names=within), self.names * 3)
        self._broker = broker

    @property
    def patterns(self) -> list[str]:
        """Return the schemas it reaches: patterns, as a grant on a whole schema takes one."""
        return sorted({str(row["Db"]) for row in (*self.schemas, *self.tables)})

    def refusal(self, administered: Iterable[str]) -> str:
        """Return why it must not be granted, or an empty string."""
        if self.name not in administered:
            return f"The portal's broker can't grant {self.name}: it lacks the ADMIN OPTION."
        if self.has_global:
            return f"{self.name} has rights on the whole server. Use a role with rights on schemas only."
        if self.passes_on or any(row["Grant_priv"] == "Y" for row in self.schemas):
            return f"{self.name} may give its rights to others. Use a role without GRANT and ADMIN OPTION."
        if any("Grant" in _text(row["rights"]) for row in self.tables):
            return f"{self.name} may give its rights to others. Use a role without GRANT and ADMIN OPTION."
        for pattern in self.patterns:
            [row] = self._broker.rows(_IS_CLOSED, (SCHEMA, pattern))
            if row["number"]:
                return f"{self.name} reaches the server's or the portal's own tables ({pattern})."
        return ""

    def delegation(self) -> str:
        """Return how its grantees could leave something that acts for them, or an empty string."""
        kinds = [
            kind
            for column, kind in _DEFINING.items()
            if any(row.get(column) == "Y" for row in self.schemas)
        ]
        if not kinds:
            return ""
        names = " and ".join(dict.fromkeys(kinds))
        return (
            f"{self.name} can create {names}, which act for others with the login's rights, and stop "
            "working when the login is dropped."
        )

    def resources(self) -> tuple[str, ...]:
        """Return the schemas that exist now."""
        names = {
            str(row["name"])
            for pattern in self.patterns
            for row in self._broker.rows(_MATCHING, (pattern,))
        }
        return tuple(sorted(names))

    def sentences(self, schema: str) -> list[str]:
        """Describe what it allows on a schema."""
        lines = []
        for row in self.schemas:
            if self._matches(schema, str(row["Db"])):
                rights = [
                    name for name, value in row.items() if name.endswith("_priv") and value == "Y"
                ]
                words = ", ".join(_right(name) for name in rights)
                lines.append(f"{words} on everything in {row['Db']}")
        return lines + [
            f"{_text(row['rights']).upper()} on {row['Db']}.{row['name']}"
            for row in self.tables
            if row["Db"] == schema
        ]

    def _matches(self, schema: str, pattern: str) -> bool:
        [row] = self._broker.rows("SELECT %s LIKE %s AS matches", (schema, pattern))
        return bool(row["matches"])


def administered_roles(broker: Broker) -> list[str]:
    return [str(row["name"]) for row in broker.rows(_ADMINISTERED)]


def all_roles(broker: Broker) -> list[str]:
    return [str(row["name"]) for row in broker.rows(_ROLES)]


def discovered_permissions(broker: Broker) -> tuple[DiscoveredPermission, ...]:
    administered = administered_roles(broker)
    permissions = []
    for name in all_roles(broker):
        rights = RoleRights(broker, name)
        refusal = rights.refusal(administered)
        permissions.append(
            DiscoveredPermission(
                name, rights.resources(), refusal, "" if refusal else rights.delegation()
            )
        )
    return tuple(permissions)


def permission_refusal(broker: Broker, permission: str, *, allow_delegation: bool) -> str:
    """Return why a permission must not be granted now, or an empty string."""
    if permission not in all_roles(broker):
        return f"The target has no role {permission}. Choose another."
    rights = RoleRights(broker, permission)
    refusal = rights.refusal(administered_roles(broker))
    return refusal or ("" if allow_delegation else rights.delegation())


def _reachable(broker: Broker, name: str) -> tuple[list[str], bool]:
    """Return a role and those granted to it, and whether it may grant one of them."""
    names, passes_on = [name], False
    new: Sequence[str] = [name]
    for _ in range(MAX_DEPTH):
        rows = broker.rows(_NESTED.format(names=placeholders(new)), new)
        passes_on = passes_on or any(row["admin"] == "Y" for row in rows)
        new = [str(row["name"]) for row in rows if row["name"] not in names]
        if not new:
            return names, passes_on
        names += new
    return names, passes_on


def _right(column: str) -> str:
    return column.removesuffix("_priv").replace("_", " ").upper()


def _text(rights: object) -> str:
    return rights if isinstance(rights, str) else ""
