"""PostgreSQL: a login role for every grant, which is really removed.

The steps and their order follow from how PostgreSQL behaves; docs/decisions has the measurements.
"""

from accessflows.connectors.kinds import (
    ConnectorKind,
    CredentialKind,
    Keeper,
    Promise,
    Promises,
    SetUpStep,
)
from accessflows.connectors.postgresql.settings import PostgreSQLSettings
from accessflows.connectors.postgresql.setup_sql import broker_setup_sql, scram_verifier

_CAPABILITIES = """\
CREATE ROLE orders_read NOLOGIN;
GRANT orders_read TO "{broker}" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
REVOKE CONNECT, TEMPORARY ON DATABASE orders FROM PUBLIC;
GRANT CONNECT ON DATABASE orders TO orders_read, "{broker}";
\\connect orders
GRANT USAGE ON SCHEMA public TO orders_read;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO orders_read;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO orders_read;
"""


def set_up(broker: str, password: str) -> tuple[SetUpStep, ...]:
    """Return the SQL for version 16 and newer; checks show what older ones need."""
    return (
        SetUpStep(
            "Create the broker",
            "As a superuser, in psql. It creates the role that the portal signs in as: no superuser, and "
            "no access to your data.",
            broker_setup_sql(16, broker=broker, capabilities={}, password=scram_verifier(password)),
        ),
        SetUpStep(
            "Create the roles to request",
            "For each level of access, a role without a login. Replace the names. The last line is about "
            "tables that the role running it creates later; repeat it for every role that creates tables.",
            _CAPABILITIES.format(broker=broker.replace('"', '""')),
        ),
    )


kind = ConnectorKind(
    name="postgresql",
    label="PostgreSQL",
    summary="Databases and roles, 15 or newer",
    icon="db",
    promises=Promises(
        CredentialKind.PASSWORD,
        "A login role of its own for every grant",
        Promise(
            Keeper.TARGET,
            "End enforced by the target",
            "The server refuses new sign-ins after the end, even if the portal is down.",
        ),
        Promise(
            Keeper.PORTAL,
            "Sessions terminated",
            "The portal terminates open sessions at the end; the server alone would let them go on.",
        ),
        Promise(
            Keeper.TARGET,
            "Leftovers visible",
            "Objects, rights and prepared transactions left behind are read from the server's catalogs.",
        ),
    ),
    connector="accessflows.connectors.postgresql.connector:PostgreSQLConnector",
    settings=PostgreSQLSettings,
    set_up=set_up,
    default_port=5432,
    broker_label="Broker role",
    mark_label="OID",
    resource_label="Database",
    limits_connections=True,
    negotiates_tls=True,
)
