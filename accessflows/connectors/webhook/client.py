"""One signed call to a receiver, and the meaning of its response."""

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from accessflows.connectors.errors import TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import Target
from accessflows.connectors.webhook.responses import Response, sanitised
from accessflows.connectors.webhook.settings import WebhookSettings
from accessflows.connectors.webhook.signing import key_of, signed_headers
from apono_portal.core.web import http_client
from apono_portal.core.web.ssrf_guard import AddressRefused

MAX_BYTES = 512 * 1024
# Statuses after which a retry may succeed, besides 500 and above.
RETRY_STATUSES = frozenset({408, 409, 425, 429})


def call(
    target: Target, kind: str, data: Mapping[str, object], *, message_id: str | None = None
) -> Response:
    """Send ``{"type": kind, "timestamp": now, "data": data}`` and return the receiver's response.

    ``message_id`` stays the same when a step is retried; the time in the body keeps two attempts within a
    second from looking like a replay. Raises `TargetUnavailable` if a retry may succeed, else
    `TargetRefused`.
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


def post(target: Target, body: bytes, *, message_id: str, key: bytes, timestamp: int) -> Response:
    """Post a body signed with ``key`` and return the receiver's response."""
    headers = {"Accept": "application/json", **signed_headers(key, message_id, timestamp, body)}
    try:
        response = http_client.post(
            target.settings_as(WebhookSettings).url,
            body,
            headers,
            ca_certificates=target.ca_certificates,
            max_bytes=MAX_BYTES + 1,
        )
    except AddressRefused as refused:
        raise TargetRefused(refused.sentence) from None
    except http_client.RequestFailed as failed:
        error = TargetUnavailable if failed.is_temporary else TargetRefused
        raise error(failed.sentence) from None
    if len(response.content) > MAX_BYTES:
        raise TargetRefused("The receiver's response is larger than 512 KiB. Fix the receiver.")
    return _parse(response.status, response.content, target)


def _parse(status: int, content: bytes, target: Target) -> Response:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if 200 <= status < 300:
        if isinstance(body, dict):
            return Response(body)
        raise TargetRefused("The receiver did not return a JSON object. Fix the receiver.")
    error = sanitised(body.get("error"), target.password) if isinstance(body, dict) else ""
    sentence = f"The receiver returned status {status}" + (f': "{error}"' if error else ".")
    if status >= 500 or status in RETRY_STATUSES:
        raise TargetUnavailable(sentence)
    if 300 <= status < 400:
        raise TargetRefused(f"{sentence} Redirects are not followed; enter the final address.")
    raise TargetRefused(sentence)
