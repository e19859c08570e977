"""Valkey and Redis: an ACL account for every grant, with the rules of an account that is off.

Nothing on the server enforces an end. docs/decisions has the measurements.
"""

from accessflows.connectors.kinds import (
    ConnectorKind,
    CredentialKind,
    Keeper,
    Promise,
    Promises,
)
from accessflows.connectors.valkey.settings import ValkeySettings
from accessflows.connectors.valkey.setup_commands import set_up

kind = ConnectorKind(
    name="valkey",
    label="Valkey",
    summary="ACL accounts, Valkey 7.2 or newer",
    icon="layers",
    promises=Promises(
        CredentialKind.PASSWORD,
        "An ACL account of its own for every grant",
        Promise(
            Keeper.PORTAL,
            "End kept by the portal",
            "The server enforces no end: the portal ends sign-in, while a worker runs and reaches it.",
        ),
        Promise(
            Keeper.PORTAL,
            "Sessions terminated",
            "The portal takes all rights from open sessions and terminates them at the end.",
        ),
        Promise(
            Keeper.NOBODY,
            "Leftovers not visible",
            "Keys carry no owner, so what a grantee wrote stays and can't be listed.",
        ),
    ),
    connector="accessflows.connectors.valkey.connector:ValkeyConnector",
    settings=ValkeySettings,
    set_up=set_up,
    default_port=6379,
    mark_label="Marker",
    resource_label="Keys",
    library="valkey",
    extra="valkey",
)
