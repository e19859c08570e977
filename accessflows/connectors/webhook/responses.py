"""What a receiver answers, read with suspicion: types, lengths and characters are checked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accessflows.connectors.errors import TargetRefused

MOST_ROWS = 5000
LONGEST_NAME = 63
LONGEST_SENTENCE = 200


def sanitised(text: object, secret: str) -> str:
    """A receiver's sentence on one short printable line, without the secret it may have echoed."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text.replace(secret, "[secret]").split()) if secret else ""
    return "".join(char for char in line if char.isprintable())[:LONGEST_SENTENCE]


class Answer:
    """A JSON object of a receiver. Reading what is not there, or not as it should be, is refused."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, key: str, *, longest: int = LONGEST_NAME, default: str | None = None) -> str:
        value = self._values.get(key, default)
        if not isinstance(value, str) or not value or len(value) > longest:
            raise _wrong(key, f"text of 1 to {longest} characters")
        if not value.isprintable():
            raise _wrong(key, "printable text")
        return value

    def flag(self, key: str) -> bool:
        value = self._values.get(key)
        if not isinstance(value, bool):
            raise _wrong(key, "true or false")
        return value

    def number(self, key: str, default: int | None = None) -> int:
        value = self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            raise _wrong(key, "a number from zero on")
        return value

    def moment(self, key: str) -> datetime:
        value = self._values.get(key)
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            raise _wrong(key, "a time with its zone, as 2030-01-31T12:00:00+00:00")
        return found

    def rows(self, key: str) -> list["Answer"]:
        found = self._list(key)
        if not all(isinstance(row, dict) for row in found):
            raise _wrong(key, "a list of objects")
        return [Answer(row) for row in found]

    def texts(self, key: str, *, longest: int = LONGEST_NAME) -> tuple[str, ...]:
        return tuple(Answer({key: each}).text(key, longest=longest) for each in self._list(key))

    def _list(self, key: str) -> list[Any]:
        found = self._values.get(key, [])
        if not isinstance(found, list) or len(found) > MOST_ROWS:
            raise _wrong(key, f"a list of at most {MOST_ROWS}")
        return found


def _wrong(key: str, wanted: str) -> TargetRefused:
    return TargetRefused(f'The receiver\'s answer needs "{key}" to be {wanted}. Mend the receiver.')
