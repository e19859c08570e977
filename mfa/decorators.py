"""Marks for views. `mfa.middleware.VerifiedWindowMiddleware` enforces them before the view runs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http.response import HttpResponseBase

View = Callable[..., HttpResponseBase]


def mfa_required(view: View) -> View:
    """Only with an open window: the person is led to the code, or to set-up if not enrolled."""
    return _marked(view, "mfa_required")


def mfa_required_if_enrolled(view: View) -> View:
    """Only with an open window, unless the person has not set up MFA (admin pages)."""
    return _marked(view, "mfa_required_if_enrolled")


def _marked(view: View, mark: str) -> View:
    @wraps(view)
    def marked(*args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(*args, **kwargs)

    setattr(marked, mark, True)
    return marked
