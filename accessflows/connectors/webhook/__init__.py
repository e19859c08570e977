"""Grants through your own automation: signed calls to a webhook receiver.

Calls follow the Standard Webhooks specification. `docs/examples/webhook_receiver.py` is a receiver.
"""

from accessflows.connectors.kinds import (
    ConnectorKind,
    CredentialKind,
    Keeper,
    Promise,
    Promises,
    SetUpStep,
)
from accessflows.connectors.webhook.settings import WebhookSettings
from accessflows.connectors.webhook.signing import key_of


def set_up(broker: str, password: str) -> tuple[SetUpStep, ...]:
    """Return nothing: the receiver is the operator's own program."""
    return ()


kind = ConnectorKind(
    name="webhook",
    label="Webhook",
    summary="Your own automation",
    icon="hook",
    promises=Promises(
        CredentialKind.PASSWORD,
        "What your automation creates for every grant",
        Promise(
            Keeper.AUTOMATION,
            "End: up to the receiver",
            "Whether the target itself refuses sign-ins after the end is up to the receiver.",
        ),
        Promise(
            Keeper.AUTOMATION,
            "Sessions: up to the receiver",
            "The portal tells the receiver to terminate sessions; the receiver does it.",
        ),
        Promise(
            Keeper.AUTOMATION,
            "Leftovers: as reported",
            "What a grant leaves behind is what the receiver reports.",
        ),
    ),
    connector="accessflows.connectors.webhook.connector:WebhookConnector",
    settings=WebhookSettings,
    set_up=set_up,
    credential_label="Signing secret",
    mark_label="Grant",
    check_secret=key_of,
)
