"""Who acts in a request: what every service is called with."""

from typing import TYPE_CHECKING, TypedDict

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


class ActionContext(TypedDict):
    """The user who acts, with which verified window, from which client."""

    actor: "User"
    window: Window | None
    client_info: ClientInfo


def action_context(request: PortalRequest) -> ActionContext:
    """Return the keyword arguments that name who acts in a request."""
    return {
        "actor": request.user,
        "window": request.mfa.window,
        "client_info": ClientInfo.of(request),
    }
