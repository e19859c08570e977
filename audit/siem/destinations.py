"""SIEMs: over HTTPS, by syslog, or through a file that a shipper reads."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from apono_portal.core.web import http_client, syslog
from apono_portal.core.web.ssrf_guard import AddressRefused
from audit.outbox.deliveries import DeliveryFailed
from audit.outbox.files import append_whole

Batch = list[dict[str, Any]]
CONTENT_TYPES = {
    "ndjson": "application/x-ndjson",
    "array": "application/json",
    "splunk": "application/json",
}


@dataclass(frozen=True)
class Siem:
    """``send`` accepts a whole batch or raises `DeliveryFailed`. The name is shown and holds no secret."""

    name: str
    send: Callable[[Batch], None]


def siems() -> list[Siem]:
    """Return the SIEMs that the settings name."""
    configured = []
    if url := settings.SIEM_URL:
        configured.append(Siem(f"SIEM at {urlsplit(url).hostname}", post))
    if server := settings.SIEM_SYSLOG:
        configured.append(Siem(f"SIEM by syslog, {server}", send_to_syslog))
    if file := settings.SIEM_FILE:
        configured.append(Siem(f"SIEM file {file} on {socket.gethostname()}", append))
    return configured


def post(batch: Batch) -> None:
    """Post a batch as lines of JSON, as an array, or as Splunk's HTTP Event Collector takes it."""
    headers = {"Content-Type": CONTENT_TYPES[settings.SIEM_FORMAT]}
    if settings.SIEM_AUTHORIZATION:
        headers["Authorization"] = settings.SIEM_AUTHORIZATION
    try:
        status = http_client.post(settings.SIEM_URL, _body(batch), headers).status
    except (AddressRefused, http_client.RequestFailed) as failed:
        raise DeliveryFailed(failed.sentence) from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The SIEM answered {status}.")


def send_to_syslog(batch: Batch) -> None:
    messages = [
        syslog.Message(json.dumps(event), _time(event), event["metadata"]["uid"]) for event in batch
    ]
    try:
        syslog.send_messages(settings.SIEM_SYSLOG, messages, app="apono-portal")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DeliveryFailed(f"The syslog server did not accept it: {reason}.") from None


def append(batch: Batch) -> None:
    append_whole(Path(settings.SIEM_FILE), _lines(batch))


def _body(batch: Batch) -> bytes:
    if settings.SIEM_FORMAT == "array":
        return json.dumps(batch).encode()
    if settings.SIEM_FORMAT == "splunk":
        return _lines([{"time": event["time"] / 1000, "event": event} for event in batch])
    return _lines(batch)


def _lines(batch: Batch) -> bytes:
    return "".join(f"{json.dumps(event)}\n" for event in batch).encode()


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(event["time"] / 1000, UTC)
