"""What every service of this floor is told about the request it serves."""

from typing import Any, TypedDict

from django.http import HttpRequest

from apono_portal.core.web.client import Origin
from mfa.verification.window import Window


class Deed(TypedDict):
    """Who acts, with which verified window, from where."""

    actor: Any
    window: Window | None
    origin: Origin


def deed_of(request: HttpRequest) -> Deed:
    state: Any = request.mfa  # type: ignore[attr-defined]
    return {"actor": request.user, "window": state.window, "origin": Origin.of(request)}
