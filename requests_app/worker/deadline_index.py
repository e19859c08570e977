"""Ends to come, remembered in few bytes each: there may be thousands, read anew every few seconds."""

import uuid
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from accessflows.connectors.protocol import GrantIdentity, role_name_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KEY_BYTES = 16

Row = tuple[uuid.UUID, int, datetime, int, str]


class Ends:
    """Logins and when each must have ended, in that order. A login has a number: its place in it."""

    COLUMNS: ClassVar = ("pk", "integration_id", "deadline", "login_oid", "system_identifier")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """``rows`` have the `COLUMNS` and come in the order of their deadlines."""
        self._keys = bytearray()
        self._integrations = array("Q")
        self._deadlines = array("q")  # in microseconds
        self._oids = array("Q")
        self._servers = array("L")
        self._names: dict[str, int] = {}
        for key, integration_id, deadline, oid, server in rows:
            self._keys += key.bytes
            self._integrations.append(integration_id)
            self._deadlines.append(_microseconds(deadline))
            self._oids.append(oid)
            self._servers.append(self._names.setdefault(server, len(self._names)))
        self._system_identifiers = list(self._names)

    def __len__(self) -> int:
        return len(self._deadlines)

    def until(self, moment: datetime) -> range:
        """The numbers of all that end until then."""
        return range(bisect_right(self._deadlines, _microseconds(moment)))

    def key(self, number: int) -> uuid.UUID:
        return uuid.UUID(bytes=self._key(number))

    def keys(self) -> Iterator[uuid.UUID]:
        return map(self.key, range(len(self)))

    def integration_id(self, number: int) -> int:
        return self._integrations[number]

    def deadline(self, number: int) -> datetime:
        return _EPOCH + self._deadlines[number] * _MICROSECOND

    def identity(self, number: int) -> GrantIdentity:
        server = self._system_identifiers[self._servers[number]]
        return GrantIdentity(role_name_of(self.key(number)), self._oids[number], server)

    def mark(self, number: int) -> bytes:
        """Which end of which login. One whose end was moved has another."""
        return self._key(number) + self._deadlines[number].to_bytes(8, "big", signed=True)

    def _key(self, number: int) -> bytes:
        return bytes(self._keys[number * _KEY_BYTES : (number + 1) * _KEY_BYTES])


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
