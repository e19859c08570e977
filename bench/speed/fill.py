"""Fills a portal's database with people who are signed in, and a protected flow for all of them.

Runs in the portal's environment: `python -m bench.speed.fill` reads a JSON object of group sizes and
prints how to act as each person. ``open`` groups have the verified hour open.
"""

import json
import os
import secrets
import sys
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from accessflows.flows.fingerprint import fingerprint_of, terms_of  # noqa: E402
from accessflows.models import (  # noqa: E402
    AccessFlow,
    FlowTarget,
    Integration,
    Permission,
    Resource,
)
from apono_portal.core.crypto import encryption  # noqa: E402
from apono_portal.users.models import Role, User  # noqa: E402
from mfa.enrolment.reauthentication import SIGNED_IN_AT  # noqa: E402
from mfa.models import Authenticator, MfaState, Outcome, TrustedBrowser, Verification  # noqa: E402
from mfa.verification.throttle_scope import cookie_name, nonce_hash, signed_cookie  # noqa: E402
from mfa.verification.window import SESSION_KEY  # noqa: E402

BACKEND = "apono_portal.users.backends.EmailBackend"
SessionStore = import_string(f"{settings.SESSION_ENGINE}.SessionStore")


def fill(wanted: dict[str, Any]) -> dict[str, Any]:
    everyone, _ = Group.objects.get_or_create(name="Everyone")
    people = {
        name: make_group(name, size, everyone, opened=name in wanted["open"])
        for name, size in wanted["groups"].items()
    }
    return {"people": people, "flow": make_flow(everyone)}


def make_group(name: str, size: int, everyone: Group, *, opened: bool) -> list[dict[str, Any]]:
    """People of one purpose: enrolled, signed in, in a browser that is known."""
    role = {"admins": Role.ADMIN, "auditors": Role.AUDITOR}.get(name, Role.MEMBER)
    users = User.objects.bulk_create(
        User(email=f"{name}{n}@example.org", name=f"{name} {n}", role=role, password="!none")
        for n in range(size)
    )
    MfaState.objects.bulk_create(MfaState(user=user) for user in users)
    User.groups.through.objects.bulk_create(
        User.groups.through(user_id=user.pk, group_id=everyone.pk) for user in users
    )
    secrets_of = {user.pk: secrets.token_bytes(20) for user in users}
    devices = Authenticator.objects.bulk_create(
        Authenticator(user=user, name="Authenticator app", confirmed=True, key=encryption.encrypt(secrets_of[user.pk], purpose=encryption.TOTP_KEY, owner=user.pk))
        for user in users
    )  # fmt: skip
    cookies = _known_browsers(users)
    windows = _windows(users, devices) if opened else {}
    sessions = Session.objects.bulk_create(_session(user, windows.get(user.pk)) for user in users)
    return [
        {
            "session": session.pk,
            "secret": secrets_of[user.pk].hex(),
            "known": [cookie_name(user.pk), cookies[user.pk]],
        }
        for user, session in zip(users, sessions, strict=True)
    ]


def _known_browsers(users: list[User]) -> dict[int, str]:
    nonces = {user.pk: secrets.token_urlsafe(32) for user in users}
    TrustedBrowser.objects.bulk_create(
        TrustedBrowser(user=user, nonce_hash=nonce_hash(nonces[user.pk]), epoch=0, user_agent="Firefox")
        for user in users
    )  # fmt: skip
    return {pk: signed_cookie(pk, nonce) for pk, nonce in nonces.items()}


def _windows(users: list[User], devices: list[Authenticator]) -> dict[int, dict[str, Any]]:
    made = Verification.objects.bulk_create(
        Verification(user=user, outcome=Outcome.OK, epoch=0, device_id=device.pk, device_name=device.name)
        for user, device in zip(users, devices, strict=True)
    )  # fmt: skip
    return {
        each.user_id: {
            "user_id": each.user_id,
            "device_id": each.device_id,
            "epoch": 0,
            "verified_at": each.at.isoformat(),
            "verification_id": each.pk,
            "auth": each.user.get_session_auth_hash(),
        }
        for each in made
    }


def _session(user: User, window: dict[str, Any] | None) -> Session:
    store = SessionStore()
    data = {
        "_auth_user_id": str(user.pk),
        "_auth_user_backend": BACKEND,
        "_auth_user_hash": user.get_session_auth_hash(),
        SIGNED_IN_AT: timezone.now().isoformat(),
        **({SESSION_KEY: window} if window else {}),
    }
    store._session_key = store._get_new_session_key()
    return store.create_model_instance(data)


def make_flow(everyone: Group) -> dict[str, int]:
    """A protected, automatic flow on an integration that is not there: nothing here opens it."""
    integration = Integration(name="target", host="127.0.0.1", port=1, broker="broker")
    integration.encrypted_password = encryption.encrypt(b"none", purpose=encryption.BROKER_PASSWORD, owner=integration.secret_id)  # fmt: skip
    integration.save()
    resource = Resource.objects.create(integration=integration, name="orders")
    permission = Permission.objects.create(integration=integration, name="orders_read")
    flow = AccessFlow.objects.create(
        name="Orders", require_mfa=True, max_duration=timedelta(hours=1), version=1, fingerprint=""
    )
    flow.requester_groups.add(everyone)
    target = FlowTarget.objects.create(flow=flow, resource=resource, permission=permission)
    flow.fingerprint = fingerprint_of(terms_of(flow))
    flow.save()
    return {"id": flow.pk, "target": target.pk}


if __name__ == "__main__":
    json.dump(fill(json.load(sys.stdin)), sys.stdout)
