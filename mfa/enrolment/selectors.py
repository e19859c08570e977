"""The authenticator that is being set up."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils import timezone

from mfa.exceptions import AlreadyEnrolled, SetUpGone
from mfa.models import Authenticator


def set_up_under_way(*, user: Any, device_id: int | None) -> Authenticator:
    """Return the unconfirmed authenticator that this session began, so that its key can be shown.

    Raises `AlreadyEnrolled`, or `SetUpGone` when it was replaced, is another session's or too old.
    """
    return pick_under_way(Authenticator.objects.of(user.pk), device_id)


def pick_under_way(devices: Iterable[Authenticator], device_id: int | None) -> Authenticator:
    """The same among rows the caller has read, under the lock for one."""
    found = list(devices)
    if any(device.confirmed for device in found):
        raise AlreadyEnrolled
    oldest = timezone.now() - settings.MFA_SET_UP_LIFETIME
    for device in found:
        if device.pk == device_id and device.created_at > oldest:
            return device
    raise SetUpGone
