"""Signing a user out on other devices: by the user, or by an account admin."""

from collections.abc import Sequence

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.sso.models import ProviderSession
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import SignedInDevice, User
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

NOT_SIGNED_IN = "This device is no longer signed in."
MAX_RECORDED = 50


def end_device(*, user: User, device_id: int, client_info: ClientInfo) -> None:
    """Sign a user out on one of their own devices. Raises `UserError` if it is not signed in."""
    with transaction.atomic():
        ended = _end(SignedInDevice.objects.filter(user=user, pk=device_id))
        _require(ended)
        _record(user, user, ended, client_info, because="signed out by the user on another device")


def end_other_devices(*, user: User, this_device: int | None, client_info: ClientInfo) -> int:
    """Sign a user out everywhere but on this device. Returns how many sessions ended."""
    with transaction.atomic():
        ended = _end(SignedInDevice.objects.filter(user=user).exclude(pk=this_device or 0))
        if ended:
            because = "signed out by the user everywhere else"
            _record(user, user, ended, client_info, because=because)
    return len(ended)


def end_device_of_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    device_id: int,
    client_info: ClientInfo,
) -> None:
    """Sign a user out on one device. Raises `UserError` if it is not signed in."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        ended = _end(SignedInDevice.objects.filter(user=user, pk=device_id))
        _require(ended)
        _record(actor, user, ended, client_info, because="signed out by an admin")


def end_devices_of_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    client_info: ClientInfo,
    this_device: int | None = None,
) -> int:
    """Sign a user out on all devices but the actor's own. Returns how many sessions ended."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        ended = _end(SignedInDevice.objects.filter(user=user).exclude(pk=this_device or 0))
        if ended:
            _record(actor, user, ended, client_info, because="signed out everywhere by an admin")
    return len(ended)


def _end(devices: QuerySet[SignedInDevice]) -> Sequence[SignedInDevice]:
    """Delete the devices and their sessions, and return those whose session was still there.

    The rows stay locked meanwhile, so that no session gets a new key in between.
    """
    locked = list(devices.select_for_update().order_by("pk"))
    hashes = [device.session_hash for device in locked]
    sessions = Session.objects.filter(session_key__in=hashes)
    present = set(sessions.values_list("session_key", flat=True))
    ProviderSession.objects.filter(session_hash__in=hashes).delete()
    sessions.delete()
    SignedInDevice.objects.filter(pk__in=[device.pk for device in locked]).delete()
    return [device for device in locked if device.session_hash in present]


def _require(ended: Sequence[SignedInDevice]) -> None:
    if not ended:
        raise UserError(NOT_SIGNED_IN)


def _record(
    actor: User,
    user: User,
    ended: Sequence[SignedInDevice],
    client_info: ClientInfo,
    *,
    because: str,
) -> None:
    record(
        event=EventName.SESSION_END,
        actor=actor,
        target=user,
        client_info=client_info,
        metadata={
            "because": because,
            "devices": [str(device) for device in ended[:MAX_RECORDED]],
            "sessions": len(ended),
        },
    )
