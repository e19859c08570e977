"""What every service of this floor is told about the request it serves."""

from typing import Any, TypedDict

from django.http import HttpRequest

from apono_portal.core.web.client import ClientInfo
from mfa.verification.window import Window


class ActionContext(TypedDict):
    """Who acts, with which verified window, from where."""

    actor: Any
    window: Window | None
    client_info: ClientInfo


def action_context(request: HttpRequest) -> ActionContext:
    state: Any = request.mfa  # type: ignore[attr-defined]
    return {"actor": request.user, "window": state.window, "client_info": ClientInfo.of(request)}
