"""Authenticity of rows that permit access: a MAC under a key that the database does not hold.

HMAC-SHA256 (RFC 2104) over the table's name and the fields that say what a row permits. The key is
derived (RFC 5869) from the keyring, and its id is stored before the MAC. A row copied to other values,
written by SQL or edited has no valid MAC, and whoever judges it must take it for no evidence.
"""

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import ClassVar, Self

from django.db import models

from apono_portal.core.crypto.keyring import newest_key_id, row_keys


class AuthenticatedRow(models.Model):
    """A row whose ``MAC_FIELDS`` count only as the portal wrote them. Call `sign` before saving."""

    MAC_FIELDS: ClassVar[tuple[str, ...]]

    mac = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        abstract = True

    def sign(self) -> Self:
        """Set the MAC over the current values, with the newest key."""
        self.mac = self._mac_under(newest_key_id())
        return self

    @property
    def is_authentic(self) -> bool:
        key_id = self.mac.partition(".")[0]
        return key_id in row_keys() and hmac.compare_digest(self.mac, self._mac_under(key_id))

    def _mac_under(self, key_id: str) -> str:
        values = [_canonical(getattr(self, name)) for name in self.MAC_FIELDS]
        return _mac(key_id, json.dumps([self._meta.label_lower, *values]))


def mac_of_text(label: str, text: str) -> str:
    """Return the MAC of a text that the portal hands out and takes back; ``label`` says what it is."""
    return _mac(newest_key_id(), json.dumps([label, text]))


def is_authentic_text(label: str, text: str, mac: str) -> bool:
    key_id = mac.partition(".")[0]
    expected = _mac(key_id, json.dumps([label, text])) if key_id in row_keys() else ""
    return bool(expected) and hmac.compare_digest(mac.encode(), expected.encode())


def _mac(key_id: str, text: str) -> str:
    mac = hmac.digest(row_keys()[key_id], text.encode(), "sha256")
    return f"{key_id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def _canonical(value: object) -> object:
    """Return a value as every database returns it: instants in UTC, everything else as text."""
    if value is None or isinstance(value, bool | int):
        return value
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
