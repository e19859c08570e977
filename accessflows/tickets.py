"""References to tickets, and the small language in which a flow says how they look.

``#`` stands for a digit and ``@`` for a letter; a run of them for at least that many. Everything else
stands for itself, in either case. Patterns side by side are alternatives: ``OPS-# INC#######``.

A reference is read once, from left to right, and a run takes all it can: a pattern in which that could
be wrong is refused, so nothing is ever tried twice, whatever an admin or a requester writes.
"""

import re
import string
from collections.abc import Callable
from itertools import groupby

LONGEST_PATTERNS = 100
LONGEST_REFERENCE = 60
MOST_REFERENCES = 5

_CLASSES: dict[str, str] = {"#": string.digits, "@": string.ascii_letters}
_PATTERNS = re.compile(r"[A-Za-z0-9#@_./:+-]+( [A-Za-z0-9#@_./:+-]+)*")
_REFERENCE = re.compile(r"[!-~]+")


def pattern_error(text: str) -> str:
    """Say why this is no list of patterns, or return an empty string."""
    if not text:
        return ""
    if len(text) > LONGEST_PATTERNS or not _PATTERNS.fullmatch(text):
        return (
            f"Write at most {LONGEST_PATTERNS} letters, digits and - _ . / : + with # for a digit "
            "and @ for a letter, for example OPS-#."
        )
    for pattern in text.split():
        for (sign, _), (following, _) in zip(_runs(pattern), _runs(pattern)[1:], strict=False):
            if following in _CLASSES.get(sign, ""):
                kind = "digits" if sign == "#" else "letters"
                return (
                    f"In {pattern} the {kind} after {sign} would be taken for it. Put a sign between "
                    "them, or leave them out."
                )
    return ""


def matches_pattern(reference: str, patterns: str) -> bool:
    """Does a reference fit one of the patterns? Without patterns every reference does."""
    return not patterns or any(_fits(reference, pattern) for pattern in patterns.split())


def pattern_example(patterns: str) -> str:
    """Return a reference that fits the first pattern: ``OPS-123``; empty without patterns."""
    first = patterns.partition(" ")[0]
    sample = {"#": "1234567890", "@": "ABCDEFGHIJ"}
    return "".join(
        (sample[sign] * count)[: max(count, 3)] if sign in sample else sign * count
        for sign, count in _runs(first)
    )


def parse_ticket_references(text: str) -> list[str]:
    """Return the references in a text, parted by commas or spaces, each once.

    Raises ValueError with a sentence. Only visible ASCII signs count.
    """
    found = list(dict.fromkeys(text.replace(",", " ").split()))
    if len(found) > MOST_REFERENCES:
        raise ValueError(f"Name at most {MOST_REFERENCES} tickets.")
    for reference in found:
        if len(reference) > LONGEST_REFERENCE or not _REFERENCE.fullmatch(reference):
            raise ValueError(
                f"A ticket reference has at most {LONGEST_REFERENCE} letters, digits and signs. "
                "Several are parted by commas."
            )
    return found


def _runs(pattern: str) -> list[tuple[str, int]]:
    """``OPS-##`` as ``[("O", 1), ("P", 1), ("S", 1), ("-", 1), ("#", 2)]``."""
    return [(sign, len(list(group))) for sign, group in groupby(pattern)]


def _fits(reference: str, pattern: str) -> bool:
    at = 0
    for sign, count in _runs(pattern):
        taken = _take(reference, at, _test_of(sign), greedy=sign in _CLASSES, count=count)
        if taken < count:
            return False
        at += taken
    return at == len(reference)


def _test_of(sign: str) -> Callable[[str], bool]:
    if sign in _CLASSES:
        return lambda char: char in _CLASSES[sign]
    return lambda char: char.isascii() and char.casefold() == sign.casefold()


def _take(
    reference: str, start: int, test: Callable[[str], bool], *, greedy: bool, count: int
) -> int:
    """Return how many signs from ``start`` on pass: all that do, or no more than ``count``."""
    end = len(reference) if greedy else min(start + count, len(reference))
    at = start
    while at < end and test(reference[at]):
        at += 1
    return at - start
