"""The devices on which a user is signed in. Each is a session, found by its hash.

`apono_portal.users.sessions` keeps the hash up to date when a session gets another key, and
`apono_portal.users.services.devices` ends sessions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.models import SignedInDevice, User
from apono_portal.users.sessions import DEVICE, hash_of

SEEN_INTERVAL = timedelta(minutes=5)  # at most one write in this time
MAX_LISTED = 50


@dataclass(frozen=True)
class DeviceRow:
    """A device as pages list it."""

    device: SignedInDevice
    is_this: bool


def remember_device(request: HttpRequest, user: User) -> None:
    """List the session of a user who has just signed in; it is saved under its new key first."""
    request.session.pop(DEVICE, None)
    request.session.save()
    session_hash = hash_of(str(request.session.session_key))
    SignedInDevice.objects.filter(session_hash=session_hash).delete()  # an earlier sign-in's
    now, client_info = timezone.now(), ClientInfo.of(request)
    device = SignedInDevice.objects.create(
        user=user,
        session_hash=session_hash,
        auth=request.session[HASH_SESSION_KEY],
        user_agent=client_info.user_agent,
        address=client_info.address,
        signed_in_at=now,
        last_seen_at=now,
    )
    request.session[DEVICE] = device.pk


def touch_device(request: HttpRequest) -> None:
    """Note when and from where the session was last used, at most once in `SEEN_INTERVAL`."""
    pk = this_device_id(request)
    if pk is None:
        return
    now, client_info = timezone.now(), ClientInfo.of(request)
    SignedInDevice.objects.filter(pk=pk, last_seen_at__lte=now - SEEN_INTERVAL).update(
        last_seen_at=now, address=client_info.address, user_agent=client_info.user_agent
    )


def this_device_id(request: HttpRequest) -> int | None:
    """Return the id of the device that sends the request, None if its session is not listed."""
    pk = request.session.get(DEVICE)
    return pk if isinstance(pk, int) else None


def device_rows(user: User, *, this: int | None = None) -> Sequence[DeviceRow]:
    """Return the devices on which a user is signed in now: this one, then the last used first."""
    sessions = Session.objects.filter(
        session_key=OuterRef("session_hash"), expire_date__gt=timezone.now()
    )
    devices = SignedInDevice.objects.filter(
        Exists(sessions), user=user, auth=user.get_session_auth_hash()
    )
    rows = [
        DeviceRow(device, device.pk == this)
        for device in devices.order_by("-last_seen_at", "-pk")[:MAX_LISTED]
    ]
    return sorted(rows, key=lambda row: not row.is_this)
