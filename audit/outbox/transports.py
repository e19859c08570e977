"""Posting and syslog, with every failure as `DeliveryFailed`."""

from collections.abc import Mapping, Sequence

from apono_portal.core.web import http_client, syslog
from apono_portal.core.web.ssrf_guard import AddressRefused
from audit.outbox.deliveries import DeliveryFailed


def post(url: str, body: bytes, headers: Mapping[str, str], *, receiver: str) -> None:
    """Post to a ``receiver``, which is what the failure names."""
    try:
        status = http_client.post(url, body, dict(headers)).status
    except (AddressRefused, http_client.RequestFailed) as failed:
        raise DeliveryFailed(failed.sentence) from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The {receiver} answered {status}.")


def send_to_syslog(server: str, messages: Sequence[syslog.Message]) -> None:
    try:
        syslog.send_messages(server, list(messages), app="apono-portal")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DeliveryFailed(f"The syslog server did not accept it: {reason}.") from None
