"""View decorators for pages of admins and auditors. For everyone else the page does not exist.

`mfa.middleware.VerifiedWindowMiddleware` requires MFA for the pages of admins.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponseBase

if TYPE_CHECKING:
    from apono_portal.users.models import User

View = Callable[..., HttpResponseBase]


def _only(
    allowed: "Callable[[User | AnonymousUser], bool]", *, changes: bool
) -> Callable[[View], View]:
    """Answer 404 to others. The view carries ``allowed`` for middleware that runs before it.

    ``changes`` marks the pages of admins, all of which change something or prepare to.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if not allowed(request.user):
                raise Http404
            return view(request, *args, **kwargs)

        guarded.allowed = allowed  # type: ignore[attr-defined]
        guarded.admin_action = changes  # type: ignore[attr-defined]
        return guarded

    return decorate


def _is_admin(user: "User | AnonymousUser") -> bool:
    return not isinstance(user, AnonymousUser) and user.is_account_admin


def _is_reader(user: "User | AnonymousUser") -> bool:
    return not isinstance(user, AnonymousUser) and user.can_read_everything


admins_only = _only(_is_admin, changes=True)
readers_only = _only(_is_reader, changes=False)
