"""The record of a window that its owner closed."""

from typing import Any

from audit.events import EventName
from audit.origin import Origin
from audit.services import record


def record_window_closed(*, user: Any, origin: Origin) -> None:
    record(event=EventName.MFA_CLOSE_WINDOW, actor=user, target=user, origin=origin)
