"""The target of the chapter: capability roles, accomplices, and what its catalogs show before and after."""

from collections.abc import Iterable, Mapping
from typing import Any

from accessflows.connectors.postgresql.setup_sql import admin_option_sql, database_limits_sql
from bench.attack.grantee.attempts import ACCOMPLICE_PASSWORD
from bench.attack.grantee.tactics import BUILD, READ
from bench.chaos.environment import Environment
from bench.environment import HOST

MAX_CONNECTIONS = 240
SETTINGS = {"max_connections": str(MAX_CONNECTIONS), "shared_buffers": "32MB"}
NEWER = {"max_prepared_transactions": "20", "reserved_connections": "5"}
ORDERS = "orders"

_ROLES = f"""
    DO $$ BEGIN CREATE ROLE {BUILD}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    ALTER ROLE {BUILD} NOLOGIN PASSWORD NULL; ALTER ROLE {BUILD} RESET ALL;
    GRANT CONNECT, TEMPORARY, CREATE ON DATABASE orders TO {BUILD};
    GRANT CREATE ON DATABASE orders TO jit_graveyard"""
_RIGHTS = f"""
    GRANT USAGE, CREATE ON SCHEMA sales TO {BUILD}, jit_graveyard;
    GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER, REFERENCES ON ALL TABLES IN SCHEMA sales TO {BUILD};
    GRANT USAGE ON SCHEMA sales TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC"""
_EXTENSIONS = f"""
    CREATE EXTENSION IF NOT EXISTS dblink; CREATE EXTENSION IF NOT EXISTS postgres_fdw;
    GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {BUILD}"""
# Whatever the catalogs record about roles other than logins: what they own and may do, memberships, settings.
_RECORDS = r"""
    SELECT format('%s %s %s', pg_describe_object(classid, objid, objsubid),
        CASE deptype WHEN 'o' THEN 'is owned by' ELSE 'has a right or policy of' END, rolname)
    FROM pg_shdepend JOIN pg_roles r ON r.oid = refobjid
    WHERE refclassid = 'pg_authid'::regclass AND deptype <> 'i' AND dbid IN
        (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    UNION ALL SELECT format('default privileges of %s: %s', defaclrole::regrole, defaclacl) FROM pg_default_acl
    UNION ALL SELECT format('%s is a member of %s', member::regrole, roleid::regrole) FROM pg_auth_members
    UNION ALL SELECT format('%s has the settings %s', rolname, setconfig) FROM pg_db_role_setting
        JOIN pg_roles r ON r.oid = setrole
    UNION ALL SELECT format('%s has a password', rolname) FROM pg_authid
        WHERE rolpassword IS NOT NULL AND NOT rolcanlogin
    UNION ALL SELECT format('PUBLIC has rights on %s', oid::regclass) FROM pg_class, aclexplode(relacl) x
        WHERE relowner = 'jit_graveyard'::regrole AND x.grantee = 0
    UNION ALL SELECT format('prepared transaction %s', gid) FROM pg_prepared_xacts"""


def prepare(environment: Environment) -> None:
    """Set up, again after each batch, so that none is judged by what another left behind."""
    if environment.query("SELECT 1 FROM pg_roles WHERE rolname = %s", [BUILD]):
        for role in (BUILD, "jit_graveyard"):
            environment.query(f"DROP OWNED BY {role} CASCADE", database=ORDERS)
    environment.query(_ROLES)
    broker = environment.target.user
    if environment.version >= 16:
        environment.query(admin_option_sql(broker, BUILD))
    else:
        limits = database_limits_sql(
            ["orders", "orders_staging", "billing"], (MAX_CONNECTIONS - 40) // 3
        )
        environment.query(f"GRANT {BUILD} TO {broker}; {limits}")
        environment.query("ALTER DATABASE orders CONNECTION LIMIT 180")
        environment.query(_EXTENSIONS, database=ORDERS)
    environment.query(_RIGHTS, database=ORDERS)


def create_accomplices(environment: Environment, names: Iterable[str]) -> None:
    for name in names:
        environment.query(
            f"CREATE ROLE {name} LOGIN PASSWORD '{ACCOMPLICE_PASSWORD}';"
            f" GRANT CONNECT, TEMPORARY ON DATABASE orders TO {name}; GRANT CONNECT ON DATABASE postgres TO {name}"
        )


def drop_accomplices(environment: Environment, names: Iterable[str]) -> None:
    for name in names:
        environment.query(f"DROP OWNED BY {name} CASCADE", database=ORDERS)
        environment.query(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def drop_logins(environment: Environment) -> None:
    """Remove what a broken copy of the portal left."""
    logins = environment.query("SELECT rolname FROM pg_roles WHERE rolname ~ '^jit_[a-z2-7]{26}$'")
    for [name] in logins:
        environment.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s",
            [name],
        )
        for [gid] in environment.query(
            "SELECT gid FROM pg_prepared_xacts WHERE owner = %s", [name]
        ):
            environment.query(f"ROLLBACK PREPARED '{gid}'", database=ORDERS)
        for database in (ORDERS, "postgres"):
            environment.query(f"DROP OWNED BY {name} CASCADE", database=database)
        environment.query(f"DROP ROLE {name}")


def insert_row(environment: Environment, name: str) -> None:
    """Add a customer, as the application goes on doing."""
    environment.query(
        "INSERT INTO sales.customers (name, email, city, since) VALUES (%s, %s, 'Graz', now())",
        [name, f"{name}@example.com"], database=ORDERS,
    )  # fmt: skip


def read_records(environment: Environment) -> set[str]:
    return {row[0] for row in environment.query(_RECORDS, database=ORDERS)}


def integration_address(environment: Environment) -> Mapping[str, Any]:
    return {
        "host": HOST, "port": environment.target.port, "broker": environment.target.user,
        "password": environment.target.password, "connection_limit": 2,
    }  # fmt: skip


PERMISSIONS = (READ, BUILD)
