"""Sign-in by email and password."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import BigIntegerField

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.users.models import User
from mfa.verification.window import with_methods

_user_of_request = CompiledQuery(
    lambda pk: with_methods(User.objects.select_related("mfa_state").filter(pk=pk).order_by()),
    BigIntegerField(),
)


class EmailBackend(ModelBackend):
    """Loads the user with MFA state and methods, which every request needs."""

    def get_user(self, user_id: Any) -> User | None:
        user = _user_of_request.first(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
