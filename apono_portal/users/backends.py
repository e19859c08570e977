"""Sign-in by e-mail address and password."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import QuerySet

from apono_portal.core.db.prepared import prepared
from apono_portal.users.models import User
from mfa.verification.window import with_authenticator


@prepared(int)
def _person(pk: int) -> QuerySet[User]:
    return with_authenticator(User.objects.select_related("mfa_state").filter(pk=pk))


class EmailBackend(ModelBackend):
    """Loads the person together with the MFA state, which every request needs."""

    def get_user(self, user_id: Any) -> User | None:
        user = _person.first(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
