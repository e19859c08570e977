"""Which methods users have set up."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q

from mfa.models import Authenticator, Method, Passkey
from mfa.passkeys.relying_party import is_offered


@dataclass(frozen=True, slots=True)
class UserMethod:
    """An authenticator app or a passkey, as pages list it."""

    kind: Method
    pk: int
    name: str
    created_at: datetime
    last_used_at: datetime | None
    passkey: Passkey | None = None

    @property
    def label(self) -> str:
        return self.kind.label

    @property
    def is_usable(self) -> bool:
        """Return whether it works at the portal's address; a passkey is bound to one host name."""
        return self.passkey is None or is_offered(self.passkey.rp_id)


def enrolled_condition(user: str = "pk") -> Q:
    """Return the condition that the user a row names in ``user`` has set up any method."""
    authenticators, passkeys = _exist(user)
    return Q(authenticators) | Q(passkeys)


def not_enrolled_condition(user: str = "pk") -> Q:
    """Return the opposite. Databases join for it, as they do not for a negated "or"."""
    authenticators, passkeys = _exist(user)
    return Q(~authenticators) & Q(~passkeys)


def _exist(user: str) -> tuple[Exists, Exists]:
    authenticators = Authenticator.objects.confirmed().filter(user=OuterRef(user))
    return Exists(authenticators), Exists(Passkey.objects.filter(user=OuterRef(user)))


def is_enrolled(user_id: int) -> bool:
    """Return whether the user has set up MFA, by any method."""
    return (
        Authenticator.objects.of(user_id).confirmed().exists()
        or Passkey.objects.of(user_id).exists()
    )


def methods_of(user_id: int) -> list[UserMethod]:
    """Return a user's methods, the last used first."""
    passkeys = Passkey.objects.of(user_id).order_by(F("last_used_at").desc(nulls_last=True), "pk")
    authenticators = Authenticator.objects.of(user_id).confirmed()
    methods = [
        UserMethod(Method.PASSKEY, row.pk, row.name, row.created_at, row.last_used_at, row)
        for row in passkeys
    ] + [
        UserMethod(Method.CODE, row.pk, row.name, row.created_at, row.last_used_at)
        for row in authenticators
    ]
    return sorted(methods, key=_last_used, reverse=True)


def _last_used(method: UserMethod) -> tuple[bool, datetime]:
    return method.last_used_at is not None, method.last_used_at or method.created_at
