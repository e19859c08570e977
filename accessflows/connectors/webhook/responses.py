"""A receiver's response, untrusted: types, lengths and characters are checked."""

from collections.abc import Mapping
from datetime import datetime

from accessflows.connectors.errors import TargetRefused

MAX_ROWS = 5000
MAX_NAME_LENGTH = 63
MAX_SENTENCE_LENGTH = 200


def sanitised(text: object, secret: str) -> str:
    """Return a receiver's sentence on one short printable line, without the secret it may echo."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text.replace(secret, "[secret]").split()) if secret else ""
    return "".join(char for char in line if char.isprintable())[:MAX_SENTENCE_LENGTH]


class Response:
    """A JSON object from a receiver. Reading a missing or invalid value raises TargetRefused."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(
        self, key: str, *, max_length: int = MAX_NAME_LENGTH, default: str | None = None
    ) -> str:
        value = self._values.get(key, default)
        if not isinstance(value, str) or not value or len(value) > max_length:
            raise _invalid(key, f"text of 1 to {max_length} characters")
        if not value.isprintable():
            raise _invalid(key, "printable text")
        return value

    def flag(self, key: str) -> bool:
        value = self._values.get(key)
        if not isinstance(value, bool):
            raise _invalid(key, "true or false")
        return value

    def number(self, key: str, default: int | None = None) -> int:
        value = self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            raise _invalid(key, "a non-negative integer")
        return value

    def moment(self, key: str) -> datetime:
        value = self._values.get(key)
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise _invalid(key, "a time with its UTC offset, like 2030-01-31T12:00:00+00:00")
        return moment

    def rows(self, key: str) -> list["Response"]:
        values = self._list(key)
        rows = [Response(value) for value in values if isinstance(value, dict)]
        if len(rows) < len(values):
            raise _invalid(key, "a list of objects")
        return rows

    def texts(self, key: str, *, max_length: int = MAX_NAME_LENGTH) -> tuple[str, ...]:
        return tuple(
            Response({key: value}).text(key, max_length=max_length) for value in self._list(key)
        )

    def _list(self, key: str) -> list[object]:
        values = self._values.get(key, [])
        if not isinstance(values, list) or len(values) > MAX_ROWS:
            raise _invalid(key, f"a list of at most {MAX_ROWS}")
        return values


def _invalid(key: str, expected: str) -> TargetRefused:
    return TargetRefused(
        f'In the receiver\'s response, "{key}" must be {expected}. Fix the receiver.'
    )
