"""Adds people with an authenticator each, sealed with the newest key: `python -m bench.speed.devices N`."""

import os
import secrets
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")

import django

django.setup()

from apono_portal.core.crypto import encryption  # noqa: E402
from apono_portal.users.models import User  # noqa: E402
from mfa.models import Authenticator, MfaState  # noqa: E402

AT_ONCE = 5000


def add(first: int, last: int) -> None:
    users = User.objects.bulk_create(
        User(email=f"device{n}@example.org", name=f"Device {n}", password="!none")
        for n in range(first, last)
    )
    MfaState.objects.bulk_create(MfaState(user=user) for user in users)
    Authenticator.objects.bulk_create(
        Authenticator(user=user, name="Authenticator app", confirmed=True, key=encryption.encrypt(secrets.token_bytes(20), purpose=encryption.TOTP_KEY, owner=user.pk))
        for user in users
    )  # fmt: skip


if __name__ == "__main__":
    number = int(sys.argv[1])
    for first in range(0, number, AT_ONCE):
        add(first, min(first + AT_ONCE, number))
