"""Fills the floor's tables with people who are signed in. Prints how to act as each, as JSON.

Runs in the floor's environment: `python -m bench.speed.floor.fill NUMBER`.
"""

import json
import os
import secrets
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.speed.floor.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django_otp.plugins.otp_totp.models import TOTPDevice  # noqa: E402

from bench.speed.floor.models import AuditRow  # noqa: E402

ROWS = 1000  # as many as a list of the portal counts
BACKEND = "django.contrib.auth.backends.ModelBackend"


def fill(number: int) -> list[dict[str, Any]]:
    users = User.objects.bulk_create(
        User(username=f"person{n}", email=f"person{n}@example.org", password="!unusable")
        for n in range(number)
    )
    devices = TOTPDevice.objects.bulk_create(
        TOTPDevice(user=user, name="app", key=secrets.token_hex(20), confirmed=True)
        for user in users
    )
    AuditRow.objects.bulk_create(
        AuditRow(event="mfa:verify", actor=users[n % number], address="127.0.0.1")
        for n in range(ROWS)
    )
    sessions = Session.objects.bulk_create(_session(user) for user in users)
    return [
        {"session": session.pk, "secret": device.key, "device": device.persistent_id}
        for session, device in zip(sessions, devices, strict=True)
    ]


def _session(user: User) -> Session:
    store = SessionStore()
    data = {
        "_auth_user_id": str(user.pk),
        "_auth_user_backend": BACKEND,
        "_auth_user_hash": user.get_session_auth_hash(),
    }
    store._session_key = store._get_new_session_key()
    return store.create_model_instance(data)


if __name__ == "__main__":
    json.dump(fill(int(sys.argv[1])), sys.stdout)
