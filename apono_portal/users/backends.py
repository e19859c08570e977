"""Sign-in by email and password, within limits.

Every page that asks for a password comes through here. What is over a limit is refused before anything is
hashed. `apono_portal.users.middleware` bounds how many sign-ins a process handles at once.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import BigIntegerField
from django.http import HttpRequest

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.users.exceptions import PasswordsBusy
from apono_portal.users.models import User
from apono_portal.users.password_limits import PasswordAttempt
from mfa.verification.window import with_authenticator

_user_of_request = CompiledQuery(
    lambda pk: with_authenticator(
        User.objects.select_related("mfa_state").filter(pk=pk).order_by()
    ),
    BigIntegerField(),
)


class EmailBackend(ModelBackend):
    """Loads the user with MFA state and authenticator, which every request needs."""

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
        if user is None:
            attempt.fail()
        else:
            attempt.succeed()
        return user

    def get_user(self, user_id: Any) -> User | None:
        user = _user_of_request.first(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
