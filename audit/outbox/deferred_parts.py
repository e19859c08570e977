"""Parts of a mail that are made while it is sent, so that the outbox never holds them.

    late_parts.offer("password_link", make)  # once, when the portal starts
    enqueue_mail(..., body=f"Follow {late_parts.PLACE}", late=("password_link", user.pk))

A floor above offers what this one cannot make. ``make`` is given the number of whom it is for and
since when the mail waits. It returns the text, or None when it must not be made any more: then the
mail is not sent either.
"""

from collections.abc import Callable
from datetime import datetime

PLACE = "[made when this is sent]"
Maker = Callable[[int, datetime], str | None]
_MAKERS: dict[str, Maker] = {}


class NoLongerWanted(Exception):
    """What the mail was to carry must not be made any more."""


def offer(name: str, make: Maker) -> None:
    """Say how a part is made. A later offer takes the place of an earlier one."""
    _MAKERS[name] = make


def render_deferred(body: str, *, part: str, about: int | None, since: datetime) -> str:
    """Return the text with its part made, or raise `NoLongerWanted`."""
    if not part:
        return body
    made = _MAKERS[part](about, since) if about is not None else None
    if made is None:
        raise NoLongerWanted
    return body.replace(PLACE, made)
