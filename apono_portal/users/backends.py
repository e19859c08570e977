"""Sign-in by e-mail address and password."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from apono_portal.users.models import User


class EmailBackend(ModelBackend):
    """Loads the person together with the MFA state, which every request needs."""

    def get_user(self, user_id: Any) -> User | None:
        user = User.objects.select_related("mfa_state").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
