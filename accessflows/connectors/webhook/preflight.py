"""Whether a receiver can be relied on: it answers, and it believes no call that is not ours."""

import json
import secrets
import time

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.protocol import Check, Target
from accessflows.connectors.webhook.client import call, post
from accessflows.connectors.webhook.signing import key_of

_STALE_S = 3600


def preflight(target: Target) -> list[Check]:
    """A ping, one signed with another secret, and one from an hour ago. Only the first may succeed."""
    key = key_of(target.password)
    call(target, "ping", {})
    return [
        Check.passed("reachable", "The receiver answers signed calls."),
        _refuses(
            "signature",
            target,
            key=secrets.token_bytes(32),
            timestamp=int(time.time()),
            refuses="refuses calls signed with another secret",
            remedy="Let it compare webhook-signature before it acts.",
        ),
        _refuses(
            "timestamp",
            target,
            key=key,
            timestamp=int(time.time()) - _STALE_S,
            refuses="refuses calls from an hour ago, so that none can be replayed",
            remedy="Let it refuse a webhook-timestamp more than five minutes away.",
        ),
    ]


def _refuses(
    name: str, target: Target, *, key: bytes, timestamp: int, refuses: str, remedy: str
) -> Check:
    body = json.dumps({"type": "ping", "data": {}}).encode()
    message_id = f"msg_{secrets.token_hex(16)}"
    try:
        post(target, body, message_id=message_id, key=key, timestamp=timestamp)
    except TargetRefused:
        return Check.passed(name, f"The receiver {refuses}.")
    except ConnectorError as error:
        return Check.failed(name, f"It could not be seen whether the receiver {refuses}. {error}")
    return Check.failed(name, f"It is not so that the receiver {refuses}. {remedy}")
