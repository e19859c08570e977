"""The SQL an administrator runs once on a server, also shown as the remedies of failed checks."""

import hashlib

from accessflows.connectors.kinds import SetUpStep

SCHEMA = "apono_portal"
GLOBAL_RIGHTS = ("CREATE USER", "CONNECTION ADMIN", "PROCESS", "SHOW DATABASES")

_MARKERS = f"""\
CREATE DATABASE IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.grants (
  login VARCHAR(80) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
  portal_id VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  mark CHAR(16) NOT NULL,
  deadline VARCHAR(40) NOT NULL,
  is_contained BOOLEAN NOT NULL DEFAULT FALSE
);
"""
_PERMISSIONS = """\
CREATE ROLE IF NOT EXISTS orders_read;
GRANT SELECT, SHOW VIEW ON orders.* TO orders_read;
GRANT orders_read TO {broker} WITH ADMIN OPTION;
"""


def set_up(broker: str, password: str) -> tuple[SetUpStep, ...]:
    account = quoted_account(broker)
    identified = f"IDENTIFIED VIA mysql_native_password USING '{native_hash(password)}'"
    create = f"CREATE USER IF NOT EXISTS {account} {identified};"
    rights = "\n".join((create, global_rights_sql(account), catalog_sql(account)))
    return (
        SetUpStep(
            "Create the broker",
            "As an administrator, in mariadb. It manages logins and reads who may do what, and none of your "
            "data. The schema holds what tells the portal's logins from others.",
            f"{rights}\n{_MARKERS}{markers_sql(account)}",
        ),
        SetUpStep(
            "Create the roles to request",
            "For each level of access, a role. Replace the names.",
            _PERMISSIONS.format(broker=account),
        ),
    )


def native_hash(password: str) -> str:
    """Return what the server stores for a password, which keeps the password out of its logs."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def quoted_account(name: str, host: str = "%") -> str:
    return f"{quoted(name)}@{quoted(host)}"


def quoted(text: str) -> str:
    """Quote a name or text for SQL that people read; calls use parameters."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def global_rights_sql(account: str) -> str:
    return f"GRANT {', '.join(GLOBAL_RIGHTS)} ON *.* TO {account};"


def catalog_sql(account: str) -> str:
    return f"GRANT SELECT ON mysql.* TO {account};"


def markers_sql(account: str) -> str:
    return f"GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.grants TO {account};"


def markers_remedy(account: str) -> str:
    return _MARKERS + markers_sql(account)


def admin_option_sql(role: str, account: str) -> str:
    return f"GRANT `{role.replace('`', '``')}` TO {account} WITH ADMIN OPTION;"
