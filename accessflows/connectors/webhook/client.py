"""One signed call to a receiver, and what its answer means."""

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from accessflows.connectors.errors import TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import Target
from accessflows.connectors.webhook.responses import Answer, sanitised
from accessflows.connectors.webhook.signing import key_of, signed_headers
from apono_portal.core.web import http_client
from apono_portal.core.web.ssrf_guard import AddressRefused

MOST_BYTES = 512 * 1024
# Statuses after which the same call may well succeed; every status from 500 on is another.
AGAIN = frozenset({408, 409, 425, 429})


def call(
    target: Target, kind: str, data: Mapping[str, object], *, message_id: str | None = None
) -> Answer:
    """Send ``{"type": kind, "timestamp": now, "data": data}`` and return the receiver's answer.

    ``message_id`` stays the same when a step is tried again; the time in the body keeps two attempts
    within a second from being taken for a replay. Raises `TargetUnavailable` when trying
    again later is right, else `TargetRefused`.
    """
    return post(
        target,
        json.dumps(
            {"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": dict(data)}
        ).encode(),
        message_id=message_id or f"msg_{secrets.token_hex(16)}",
        key=key_of(target.password),
        timestamp=int(time.time()),
    )


def post(target: Target, body: bytes, *, message_id: str, key: bytes, timestamp: int) -> Answer:
    """Post a body that is signed with ``key`` and return the receiver's answer."""
    headers = {"Accept": "application/json", **signed_headers(key, message_id, timestamp, body)}
    try:
        response = http_client.post(
            target.url, body, headers, ca_file=target.sslrootcert, max_bytes=MOST_BYTES + 1
        )
    except AddressRefused as refused:
        raise TargetRefused(refused.sentence) from None
    except http_client.RequestFailed as failed:
        error = TargetUnavailable if failed.is_temporary else TargetRefused
        raise error(failed.sentence) from None
    if len(response.content) > MOST_BYTES:
        raise TargetRefused("The receiver's answer is too long. It may have half a mebibyte.")
    return _judged(response.status, response.content, target)


def _judged(status: int, content: bytes, target: Target) -> Answer:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if 200 <= status < 300:
        if isinstance(said, dict):
            return Answer(said)
        raise TargetRefused("The receiver did not answer with a JSON object. Mend the receiver.")
    sentence = sanitised(said.get("error"), target.password) if isinstance(said, dict) else ""
    told = f"The receiver answered {status}" + (f': "{sentence}"' if sentence else ".")
    if status >= 500 or status in AGAIN:
        raise TargetUnavailable(told)
    if 300 <= status < 400:
        raise TargetRefused(f"{told} Redirects are not followed; enter the final address.")
    raise TargetRefused(told)
