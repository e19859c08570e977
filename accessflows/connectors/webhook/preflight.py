"""Checks of a receiver: it answers, and it refuses calls that are not the portal's."""

import json
import secrets
import time

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.protocol import Check, Target
from accessflows.connectors.webhook.client import call, post
from accessflows.connectors.webhook.signing import key_of

_STALE_S = 3600


def preflight(target: Target) -> list[Check]:
    """Send a ping, one signed with another secret, and one from an hour ago. Only the first may succeed."""
    key = key_of(target.password)
    call(target, "ping", {})
    return [
        Check.passed("reachable", "The receiver answers signed calls."),
        _refuses(
            "signature",
            target,
            key=secrets.token_bytes(32),
            timestamp=int(time.time()),
            rule="calls signed with another secret",
            remedy="Make it verify webhook-signature before it acts.",
        ),
        _refuses(
            "timestamp",
            target,
            key=key,
            timestamp=int(time.time()) - _STALE_S,
            rule="replayed calls from an hour ago",
            remedy="Make it refuse a webhook-timestamp more than five minutes off.",
        ),
    ]


def _refuses(
    name: str, target: Target, *, key: bytes, timestamp: int, rule: str, remedy: str
) -> Check:
    body = json.dumps({"type": "ping", "data": {}}).encode()
    message_id = f"msg_{secrets.token_hex(16)}"
    try:
        post(target, body, message_id=message_id, key=key, timestamp=timestamp)
    except TargetRefused:
        return Check.passed(name, f"The receiver refuses {rule}.")
    except ConnectorError as error:
        return Check.failed(name, f"Could not check whether the receiver refuses {rule}. {error}")
    return Check.failed(name, f"The receiver accepts {rule}. {remedy}")
