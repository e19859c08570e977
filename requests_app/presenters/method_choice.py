"""What the step-up page offers: the user's methods, and what waits for a passkey."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from mfa.methods.selectors import UserMethod, methods_of
from mfa.middleware import AGAIN, DEVICE_BOUND, PASSKEY
from mfa.models import Method, Strength
from mfa.passkeys.relying_party import unavailable_reason
from requests_app.models import AccessRequest


@dataclass(frozen=True)
class MethodChoice:
    """The methods a user can verify with at this address, the last used first.

    ``passkey_only`` are the references of pending requests that no code releases, and
    ``device_bound_only`` of those that no synced passkey releases either. ``verifies_every_request``
    says whether the flow of one of them does.
    """

    passkeys: tuple[UserMethod, ...]
    apps: tuple[UserMethod, ...]
    is_passkey_first: bool
    needs: str
    passkey_only: tuple[str, ...]
    device_bound_only: tuple[str, ...]
    passkeys_unavailable: str
    verifies_every_request: bool

    @property
    def shows_code(self) -> bool:
        """Whether a code field is shown: not where nothing but a passkey helps."""
        return not self.is_passkey_page and bool(self.apps)

    @property
    def is_empty(self) -> bool:
        """Whether none of the user's methods works at the portal's address."""
        return not self.passkeys and not self.apps

    @property
    def is_passkey_page(self) -> bool:
        return self.needs in {PASSKEY, DEVICE_BOUND}

    @property
    def asks_again(self) -> bool:
        """Whether the page asks although the window is open."""
        return bool(self.needs) or self.demands_passkey

    @property
    def demands_passkey(self) -> bool:
        return self.is_passkey_page or bool(self.passkey_only or self.device_bound_only)

    @property
    def demands_device_bound(self) -> bool:
        return self.needs == DEVICE_BOUND or bool(self.device_bound_only)

    @property
    def suitable(self) -> tuple[UserMethod, ...]:
        """Passkeys of the kind that is demanded, new ones included."""
        demanded = self.demands_device_bound
        return tuple(
            row
            for row in self.passkeys
            if row.passkey and (row.passkey.is_device_bound or not demanded)
        )

    @property
    def counting(self) -> tuple[UserMethod, ...]:
        return tuple(row for row in self.suitable if row.passkey and not row.passkey.is_new)

    @property
    def new_passkey_hours(self) -> int:
        """The hours before a new passkey counts for what demands one."""
        return int(settings.MFA_NEW_PASSKEY_WAIT / timedelta(hours=1))

    @property
    def newest(self) -> UserMethod | None:
        """A passkey that does not count yet for what demands one, where none counts."""
        return self.suitable[0] if self.suitable and not self.counting else None


def method_choice(user_id: int, pending: Sequence[AccessRequest], *, needs: str) -> MethodChoice:
    methods = [method for method in methods_of(user_id) if method.is_usable]
    return MethodChoice(
        passkeys=tuple(m for m in methods if m.kind == Method.PASSKEY),
        apps=tuple(m for m in methods if m.kind == Method.CODE),
        is_passkey_first=bool(methods) and methods[0].kind == Method.PASSKEY,
        needs=needs if needs in {PASSKEY, DEVICE_BOUND, AGAIN} else "",
        passkey_only=_references(pending, Strength.PHISHING_RESISTANT),
        device_bound_only=_references(pending, Strength.DEVICE_BOUND),
        passkeys_unavailable=unavailable_reason(),
        verifies_every_request=any(request.verify_every_request for request in pending),
    )


def _references(pending: Sequence[AccessRequest], strength: Strength) -> tuple[str, ...]:
    return tuple(request.reference for request in pending if request.mfa_strength == strength)
