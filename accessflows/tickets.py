"""Ticket references, and the small pattern language in which a flow describes them.

``#`` stands for a digit and ``@`` for a letter; a run of them matches at least that many. Everything
else stands for itself, case-insensitively. Patterns separated by spaces are alternatives:
``OPS-# INC#######``.

Matching reads a reference once, left to right, and runs are greedy. Patterns for which greedy matching
would be wrong are refused, so nothing ever backtracks, whatever an admin or a requester writes.
"""

import re
import string
from collections.abc import Callable
from itertools import groupby

MAX_PATTERN_LENGTH = 100
MAX_REFERENCE_LENGTH = 60
MAX_REFERENCES = 5

_CLASSES: dict[str, str] = {"#": string.digits, "@": string.ascii_letters}
_PATTERNS = re.compile(r"[A-Za-z0-9#@_./:+-]+( [A-Za-z0-9#@_./:+-]+)*")
_REFERENCE = re.compile(r"[!-~]+")


def pattern_error(text: str) -> str:
    """Return why this is not a list of patterns, or an empty string."""
    if not text:
        return ""
    if len(text) > MAX_PATTERN_LENGTH or not _PATTERNS.fullmatch(text):
        return (
            f"Use up to {MAX_PATTERN_LENGTH} letters, digits and - _ . / : + with # for a digit "
            "and @ for a letter, for example OPS-#."
        )
    for pattern in text.split():
        for (char, _), (following, _) in zip(_runs(pattern), _runs(pattern)[1:], strict=False):
            if following in _CLASSES.get(char, ""):
                kind = "digits" if char == "#" else "letters"
                return f"In {pattern}, {char} already matches the {kind} after it. Remove those {kind}."
    return ""


def matches_pattern(reference: str, patterns: str) -> bool:
    """Tell whether a reference matches one of the patterns. Without patterns every one does."""
    return not patterns or any(_matches(reference, pattern) for pattern in patterns.split())


def pattern_example(patterns: str) -> str:
    """Return a reference that matches the first pattern: ``OPS-123``; empty without patterns."""
    first = patterns.partition(" ")[0]
    samples = {"#": "1234567890", "@": "ABCDEFGHIJ"}
    return "".join(
        (samples[char] * count)[: max(count, 3)] if char in samples else char * count
        for char, count in _runs(first)
    )


def parse_ticket_references(text: str) -> list[str]:
    """Return the references in a text, separated by commas or spaces, without duplicates.

    Raises ValueError with a sentence. Only visible ASCII characters are accepted.
    """
    references = list(dict.fromkeys(text.replace(",", " ").split()))
    if len(references) > MAX_REFERENCES:
        raise ValueError(f"Enter at most {MAX_REFERENCES} tickets.")
    for reference in references:
        if len(reference) > MAX_REFERENCE_LENGTH or not _REFERENCE.fullmatch(reference):
            raise ValueError(
                f"A ticket reference has at most {MAX_REFERENCE_LENGTH} letters, digits and "
                "symbols. Separate several with commas."
            )
    return references


def _runs(pattern: str) -> list[tuple[str, int]]:
    """Return ``OPS-##`` as ``[("O", 1), ("P", 1), ("S", 1), ("-", 1), ("#", 2)]``."""
    return [(char, len(list(group))) for char, group in groupby(pattern)]


def _matches(reference: str, pattern: str) -> bool:
    position = 0
    for char, count in _runs(pattern):
        greedy = char in _CLASSES
        length = _run_length(reference, position, _test_of(char), greedy=greedy, count=count)
        if length < count:
            return False
        position += length
    return position == len(reference)


def _test_of(char: str) -> Callable[[str], bool]:
    if char in _CLASSES:
        return lambda other: other in _CLASSES[char]
    return lambda other: other.isascii() and other.casefold() == char.casefold()


def _run_length(
    reference: str, start: int, test: Callable[[str], bool], *, greedy: bool, count: int
) -> int:
    """Count the characters from ``start`` on that pass: all that do, or no more than ``count``."""
    end = len(reference) if greedy else min(start + count, len(reference))
    position = start
    while position < end and test(reference[position]):
        position += 1
    return position - start
