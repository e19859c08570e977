"""Renaming and removing a method, and vouching for a new passkey."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.exceptions import LastMethod, MethodNotFound
from mfa.methods.selectors import methods_of
from mfa.models import Authenticator, Method, Passkey
from mfa.verification.evidence import require_admin_evidence, require_evidence
from mfa.verification.locking import lock_states
from mfa.verification.policies import require_account_admin
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


def rename_method(
    *,
    user: "User",
    kind: Method,
    pk: int,
    name: str,
    window: Window | None,
    client_info: ClientInfo,
) -> None:
    """Rename a method of the user's. Raises `WindowClosed` and `MethodNotFound`."""
    with transaction.atomic():
        require_evidence(user=user, window=window)
        method = find_method(user_id=user.pk, kind=kind, pk=pk)
        before, method.name = method.name, name
        method.save(update_fields=["name"])
        record(
            event=EventName.MFA_RENAME_METHOD,
            actor=user,
            target=method,
            client_info=client_info,
            metadata={"method": kind.value, "before": before, "after": name},
        )


def remove_method(
    *, user: "User", kind: Method, pk: int, window: Window | None, client_info: ClientInfo
) -> None:
    """Remove a method of the user's; what was verified with it and is not active yet counts no more.

    Raises `WindowClosed`, `MethodNotFound`, and `LastMethod` if no other method works here: only a
    reset turns MFA off.
    """
    with transaction.atomic():
        require_evidence(user=user, window=window)
        method = find_method(user_id=user.pk, kind=kind, pk=pk)
        others = (other for other in methods_of(user.pk) if (other.kind, other.pk) != (kind, pk))
        if not any(other.is_usable for other in others):
            raise LastMethod
        event = record(
            event=EventName.MFA_REMOVE_METHOD,
            actor=user,
            target=method,
            client_info=client_info,
            metadata={"method": kind.value, "name": method.name},
        )
        emails.method_removed(event=event, user=user, name=method.name, client_info=client_info)
        method.delete()


def find_method(*, user_id: int, kind: Method, pk: int) -> Authenticator | Passkey:
    """Return a method of the user's, or raise `MethodNotFound`."""
    method: Authenticator | Passkey | None
    if kind == Method.PASSKEY:
        method = Passkey.objects.of(user_id).filter(pk=pk).first()
    else:
        method = Authenticator.objects.of(user_id).confirmed().filter(pk=pk).first()
    if method is None:
        raise MethodNotFound
    return method


def vouch_for_passkey(
    *, actor: "User", user: "User", pk: int, window: Window | None, client_info: ClientInfo
) -> Passkey:
    """Let a new passkey count at once for flows that demand one, on an account admin's word.

    Nobody vouches for their own. Raises `NotAllowed`, `WindowClosed` and `MethodNotFound`.
    """
    with transaction.atomic():
        lock_states(actor.pk, user.pk)
        require_account_admin(actor)
        require_admin_evidence(actor=actor, window=window)
        passkey = Passkey.objects.select_for_update().of(user.pk).filter(pk=pk).first()
        if passkey is None or not passkey.is_authentic or actor.pk == user.pk:
            raise MethodNotFound
        if not passkey.is_new:
            return passkey
        passkey.vouched_at, passkey.vouched_by_label = timezone.now(), str(actor)
        passkey.sign().save(update_fields=["vouched_at", "vouched_by_label", "mac"])
        event = record(
            event=EventName.MFA_VOUCH_PASSKEY,
            actor=actor,
            target=user,
            client_info=client_info,
            metadata={"passkey": passkey.name, "added_at": passkey.created_at},
        )
        emails.passkey_vouched_for(event=event, user=user, passkey=passkey, by=str(actor))
        return passkey
