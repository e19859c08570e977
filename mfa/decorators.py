"""Marks for views. `mfa.middleware.VerifiedWindowMiddleware` enforces them before the view runs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http.response import HttpResponseBase

View = Callable[..., HttpResponseBase]


def mfa_required(view: View) -> View:
    """Require an open window. Without one the user is sent to verify, or to set up MFA."""
    return _marked(view, "mfa_required")


def mfa_required_if_enrolled(view: View) -> View:
    """Require an open window of users who have set up MFA (admin pages)."""
    return _marked(view, "mfa_required_if_enrolled")


def _marked(view: View, mark: str) -> View:
    @wraps(view)
    def marked(*args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(*args, **kwargs)

    setattr(marked, mark, True)
    return marked
