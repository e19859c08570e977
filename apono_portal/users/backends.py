"""Sign-in by email and password, within limits.

Every page that asks for a password comes through here. What is over a limit is refused before anything is
hashed. `apono_portal.users.middleware` bounds how many sign-ins a process handles at once.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest

from accessflows.flows.selectors import with_is_approver
from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.sso.enforcement import may_use_password
from apono_portal.sso.pending_connection import is_connecting
from apono_portal.users.exceptions import PasswordsBusy
from apono_portal.users.models import User
from apono_portal.users.password_limits import PasswordAttempt
from mfa.verification.window import with_methods
from requests_app.selectors import with_pending_mfa


def _with_what_pages_show(users: QuerySet[User]) -> QuerySet[User]:
    return with_pending_mfa(with_is_approver(with_methods(users)))


_user_of_request = CompiledQuery(
    lambda pk: _with_what_pages_show(
        User.objects.select_related("mfa_state").filter(pk=pk).order_by()
    ),
    BigIntegerField(),
)


def _counts(request: HttpRequest, user: User) -> bool:
    """Return whether a correct password counts: not where single sign-on is enforced.

    Once it does so there, too: to connect the account with a sign-in at the provider, in this session.
    """
    return may_use_password(user) or is_connecting(request, user.email)


class EmailBackend(ModelBackend):
    """Loads the user with MFA state, methods, and whether approvals or requests may wait for them."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user whose password it is. Raises `PasswordsBlocked` and `PasswordsBusy`.

        An unknown email takes as long as a known one: Django hashes the password all the same.
        """
        if request is None or username is None or password is None:
            return None
        attempt = PasswordAttempt.of(request, username)
        attempt.require_budget()
        failure = attempt.count()
        try:
            user = super().authenticate(request, username, password, **kwargs)
        except PasswordsBusy:  # nothing was compared
            failure.delete()
            raise
        if user is not None and not _counts(request, user):
            user = None  # reads and counts as an incorrect password
        if user is None:
            attempt.fail()
        else:
            attempt.succeed()
        return user

    def user_can_authenticate(self, user: Any) -> bool:
        """Return whether the user may have a session: active, and not a service account."""
        return super().user_can_authenticate(user) and not getattr(user, "is_service", False)

    def get_user(self, user_id: Any) -> User | None:
        user = _user_of_request.first(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
