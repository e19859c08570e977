"""Sign-in by email and password."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import BigIntegerField, QuerySet

from accessflows.flows.selectors import with_is_approver
from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.users.models import User
from mfa.verification.window import with_authenticator
from requests_app.selectors import with_pending_mfa


def _with_what_pages_show(users: QuerySet[User]) -> QuerySet[User]:
    return with_pending_mfa(with_is_approver(with_authenticator(users)))


_user_of_request = CompiledQuery(
    lambda pk: _with_what_pages_show(
        User.objects.select_related("mfa_state").filter(pk=pk).order_by()
    ),
    BigIntegerField(),
)


class EmailBackend(ModelBackend):
    """Loads the user with MFA state, authenticator, and whether approvals or requests may wait for them."""

    def get_user(self, user_id: Any) -> User | None:
        user = _user_of_request.first(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
