"""MariaDB: an account for every grant, with a role that its owner's sessions have from the start.

Nothing on the server enforces an end. docs/decisions has the measurements.
"""

from accessflows.connectors.kinds import (
    ConnectorKind,
    CredentialKind,
    Keeper,
    Promise,
    Promises,
)
from accessflows.connectors.mariadb.settings import MariaDBSettings
from accessflows.connectors.mariadb.setup_commands import set_up

kind = ConnectorKind(
    name="mariadb",
    label="MariaDB",
    summary="Schemas and roles, 10.11 or newer",
    icon="db",
    promises=Promises(
        CredentialKind.PASSWORD,
        "An account of its own for every grant",
        Promise(
            Keeper.PORTAL,
            "End kept by the portal",
            "The server enforces no end: the portal locks the login, while a worker runs and reaches it.",
        ),
        Promise(
            Keeper.PORTAL,
            "Sessions terminated",
            "The portal kills open sessions at the end, until the server lists none.",
        ),
        Promise(
            Keeper.PARTLY,
            "Leftovers in part",
            "Routines and events that name the login are listed. Tables, views, triggers and prepared XA "
            "transactions carry no owner, or none that the portal may read.",
        ),
    ),
    connector="accessflows.connectors.mariadb.connector:MariaDBConnector",
    settings=MariaDBSettings,
    set_up=set_up,
    default_port=3306,
    mark_label="Marker",
    resource_label="Schema",
    limits_connections=True,
    library="pymysql",
    extra="mariadb",
)
