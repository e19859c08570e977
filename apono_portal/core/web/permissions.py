"""Who may see the pages of admins and auditors. Everybody else is told there is no such page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase

View = Callable[..., HttpResponseBase]


def _only(allowed: Callable[[Any], bool]) -> Callable[[View], View]:
    """Refuse others. The view carries ``allowed``, so that nothing else is asked of them first."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not allowed(request.user):
                raise Http404
            return view(request, *args, **kwargs)

        guarded.allowed = allowed  # type: ignore[attr-defined]
        return guarded

    return decorate


admins_only = _only(lambda user: user.is_authenticated and user.is_account_admin)
readers_only = _only(lambda user: user.is_authenticated and user.can_read_everything)
