"""Reading a YAML file that nobody vouches for, with the line of every value.

Only plain data is accepted: mappings with text keys, lists, text, whole numbers, true, false and null.
Anchors, aliases, tags and repeated keys are refused, so a file means what it shows and no more than it
shows. ``yes``, ``on`` and ``09:00`` are text, as in YAML 1.2.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from accessflows.exceptions import Refused

MAX_BYTES = 1_048_576
MAX_PARTS = 60_000  # values, keys, and beginnings and ends of lists and mappings
MAX_DEPTH = 12
MAX_ERRORS = 20
TOO_DEEP = "This is nested too deeply."
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,8})")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
Path = tuple[str | int, ...]
Lines = dict[Path, int]


class FileRefused(Refused):
    """The file is not valid. ``errors`` are sentences, each with its line where there is one."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors[:MAX_ERRORS]))
        self.errors = errors[:MAX_ERRORS]


def read_yaml(text: str) -> tuple[Any, Lines]:
    """Return the value of the only document of a file, and the lines of its values."""
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise FileRefused([f"The file is larger than {MAX_BYTES // 1024} KiB. Split it."])
    try:
        text.encode()
        return _Reader(text).read()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        problem = f"This is not valid YAML: {error.problem or error.context}."
        if "nesting depth" in problem:
            problem = TOO_DEEP
        raise FileRefused([_located(mark.line + 1, problem) if mark else problem]) from None
    except (yaml.YAMLError, UnicodeEncodeError):
        raise FileRefused(["This is not valid YAML: it has characters that no text has."]) from None


def line_of(lines: Lines, path: Path) -> int:
    """Return the line of a value, or of the nearest one around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _located(line: int, sentence: str) -> str:
    return f"Line {line}: {sentence}"


class _Reader:
    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._parts = 0
        self._lines: Lines = {}

    def read(self) -> tuple[Any, Lines]:
        next(self._events)  # the beginning of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise FileRefused(["The file is empty."])
        value = self._value(self._next(), ())
        next(self._events)  # the end of the document
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise _refusal(following, "A file holds one document. Remove what follows ---.")
        return value, self._lines

    def _next(self) -> Any:
        event = next(self._events)
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FileRefused([f"The file has more than {MAX_PARTS} values. Split it."])
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refusal(event, "Anchors and aliases (& and *) are not supported.")
        if getattr(event, "tag", None):
            raise _refusal(event, "Tags (!) are not supported.")
        return event

    def _value(self, event: Any, path: Path) -> Any:
        self._lines.setdefault(path, _line(event))
        if len(path) > MAX_DEPTH:
            raise _refusal(event, TOO_DEEP)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return _scalar(event)

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _refusal(event, "A key must be text.")
            key = _text(event)
            if key in values:
                raise _refusal(event, f"{key} is here twice.")
            self._lines[(*path, key)] = _line(event)
            values[key] = self._value(self._next(), (*path, key))
        return values

    def _sequence(self, path: Path) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._value(event, (*path, len(values))))
        return values


def _scalar(event: Any) -> str | int | bool | None:
    """Return what unquoted text stands for; anything else is text."""
    if not event.style and event.value in _WORDS:
        return _WORDS[event.value]
    if not event.style and _INTEGER.fullmatch(event.value):
        return int(event.value)
    return _text(event)


def _text(event: Any) -> str:
    text: str = event.value
    if not text.isprintable():
        raise _refusal(event, "Text is one line of visible characters.")
    if text != text.strip():
        raise _refusal(event, "Remove the spaces around this text.")
    return text


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


def _refusal(event: Any, sentence: str) -> FileRefused:
    return FileRefused([_located(_line(event), sentence)])
