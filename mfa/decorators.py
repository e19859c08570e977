"""A mark for views. `mfa.middleware.VerifiedWindowMiddleware` enforces it before the view runs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http.response import HttpResponseBase

View = Callable[..., HttpResponseBase]


def mfa_required(view: View) -> View:
    """Require an open window. Without one the user is sent to verify, or to set up MFA.

    `apono_portal.core.web.permissions.admins_only` marks the pages of admins.
    """

    @wraps(view)
    def marked(*args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(*args, **kwargs)

    marked.mfa_required = True  # type: ignore[attr-defined]
    return marked
