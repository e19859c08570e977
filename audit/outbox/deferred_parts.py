"""Parts of an email that are rendered while it is sent, so that the outbox never stores them.

    deferred_parts.register("password_link", render)  # once, at start-up
    enqueue_email(..., body=f"Open {PLACEHOLDER}", deferred=("password_link", user.pk))

``render`` gets the id of the subject and the time since which the email waits. It returns the text, or
None if the part is no longer valid; then the email is not sent either.
"""

from collections.abc import Callable
from datetime import datetime

PLACEHOLDER = "[rendered when sent]"
Renderer = Callable[[int, datetime], str | None]
_RENDERERS: dict[str, Renderer] = {}


class NoLongerValid(Exception):
    """The deferred part is no longer valid."""


def register(name: str, render: Renderer) -> None:
    """Register the renderer of a part, replacing an earlier one."""
    _RENDERERS[name] = render


def render_deferred(body: str, *, part: str, subject_id: int | None, since: datetime) -> str:
    """Return the body with its part rendered, or raise `NoLongerValid`."""
    if not part:
        return body
    text = _RENDERERS[part](subject_id, since) if subject_id is not None else None
    if text is None:
        raise NoLongerValid
    return body.replace(PLACEHOLDER, text)
