"""What the step-up page offers: the user's methods, and what waits for a passkey."""

from collections.abc import Sequence
from dataclasses import dataclass

from mfa.methods.selectors import UserMethod, methods_of
from mfa.middleware import AGAIN, PASSKEY
from mfa.models import Method
from mfa.passkeys.relying_party import unavailable_reason
from requests_app.models import AccessRequest


@dataclass(frozen=True)
class MethodChoice:
    """The methods a user can verify with here, the last used first.

    ``passkey_only`` are the references of pending requests that no code releases.
    """

    passkeys: tuple[UserMethod, ...]
    apps: tuple[UserMethod, ...]
    is_passkey_first: bool
    needs: str
    passkey_only: tuple[str, ...]
    passkeys_unavailable: str

    @property
    def shows_code(self) -> bool:
        """Whether a code field is shown: not where nothing but a passkey helps."""
        return self.needs != PASSKEY and bool(self.apps)

    @property
    def is_code_folded(self) -> bool:
        return bool(self.passkeys) and self.is_passkey_first

    @property
    def asks_again(self) -> bool:
        """Whether the page asks although the window is open."""
        return self.needs in {PASSKEY, AGAIN} or bool(self.passkey_only)

    @property
    def counting(self) -> tuple[UserMethod, ...]:
        return tuple(row for row in self.passkeys if row.passkey and not row.passkey.is_new)

    @property
    def demands_passkey(self) -> bool:
        return self.needs == PASSKEY or bool(self.passkey_only)

    @property
    def newest(self) -> UserMethod | None:
        """A passkey that does not count yet for what demands one, where none counts."""
        return self.passkeys[0] if self.passkeys and not self.counting else None


def method_choice(user_id: int, pending: Sequence[AccessRequest], *, needs: str) -> MethodChoice:
    methods = methods_of(user_id)
    unavailable = unavailable_reason()
    passkeys = () if unavailable else tuple(m for m in methods if m.kind == Method.PASSKEY)
    return MethodChoice(
        passkeys=passkeys,
        apps=tuple(m for m in methods if m.kind == Method.CODE),
        is_passkey_first=bool(methods) and methods[0].kind == Method.PASSKEY,
        needs=needs if needs in {PASSKEY, AGAIN} else "",
        passkey_only=tuple(
            request.reference for request in pending if request.mfa_requirement().needs_passkey
        ),
        passkeys_unavailable=unavailable,
    )
