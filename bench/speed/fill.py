"""Fill a portal's database with people who are signed in, and with flows."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.module_loading import import_string

from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.flows.services import write_requesters
from accessflows.models import AccessFlow, FlowTarget, Integration, Permission, Resource
from accessflows.requesters import named
from apono_portal.users.models import Role, User
from bench.portal_data import enrol
from mfa.enrolment.reauthentication import SIGNED_IN_AT
from mfa.models import Authenticator, Outcome, TrustedBrowser, Verification
from mfa.verification.trusted_browsers import cookie_name, nonce_hash, signed_cookie
from mfa.verification.window import SESSION_KEY

BACKEND = "apono_portal.users.backends.EmailBackend"
SessionStore = import_string(f"{settings.SESSION_ENGINE}.SessionStore")


def fill(groups: dict[str, int], verified: list[str]) -> dict[str, Any]:
    """Make groups of these sizes, those in ``verified`` with an open window."""
    everyone, _ = Group.objects.get_or_create(name="Everyone")
    people = {
        name: make_group(name, size, everyone, is_verified=name in verified)
        for name, size in groups.items()
    }
    return {"people": people, "target": make_flow(everyone)}


def make_group(name: str, size: int, everyone: Group, *, is_verified: bool) -> list[dict[str, Any]]:
    """Make people of one purpose: enrolled, signed in, in a trusted browser."""
    role = Role.ADMIN if name == "admins" else Role.MEMBER
    users = User.objects.bulk_create(
        User(email=f"{name}{n}@example.org", name=f"{name} {n}", role=role, password="!none")
        for n in range(size)
    )
    everyone.user_set.add(*users)
    secret_of = enrol(users)
    nonces = {user.pk: secrets.token_urlsafe(32) for user in users}
    TrustedBrowser.objects.bulk_create(
        TrustedBrowser(user=user, nonce_hash=nonce_hash(nonces[user.pk]), epoch=0, user_agent="Firefox")
        for user in users
    )  # fmt: skip
    windows = make_windows(users) if is_verified else {}
    sessions = [make_session(user, windows.get(user.pk)) for user in users]
    Session.objects.bulk_create(session for _, session in sessions)
    return [
        {"session": key, "secret": secret_of[user.pk],
         "trusted": [cookie_name(user.pk), signed_cookie(user.pk, nonces[user.pk])]}
        for user, (key, _) in zip(users, sessions, strict=True)
    ]  # fmt: skip


def make_windows(users: list[User]) -> dict[int, dict[str, Any]]:
    hashes = {user.pk: user.get_session_auth_hash() for user in users}
    windows = {}
    for device in Authenticator.objects.filter(user__in=users):
        verification = Verification(
            user_id=device.user_id,
            outcome=Outcome.OK,
            epoch=0,
            device_id=device.pk,
            device_name=device.name,
        )
        verification.sign().save(force_insert=True)
        windows[device.user_id] = {
            "user_id": device.user_id,
            "device_id": device.pk,
            "epoch": 0,
            "verified_at": verification.at.isoformat(),
            "verification_id": verification.pk,
            "auth": hashes[device.user_id],
        }
    return windows


def make_session(user: User, window: dict[str, Any] | None) -> tuple[str, Session]:
    """Return a session's key, which is the cookie, and the row to store."""
    store = SessionStore()
    data = {
        "_auth_user_id": str(user.pk),
        "_auth_user_backend": BACKEND,
        "_auth_user_hash": user.get_session_auth_hash(),
        SIGNED_IN_AT: timezone.now().isoformat(),
        **({SESSION_KEY: window} if window else {}),
    }
    store._session_key = store._get_new_session_key()
    return store._session_key, store.create_model_instance(data)


def make_flow(everyone: Group) -> int:
    """Make a protected, automatic flow on an integration that does not exist; return its target."""
    integration = Integration.objects.create(
        name="target", host="127.0.0.1", port=1, broker="broker"
    )
    resource = Resource.objects.create(integration=integration, name="orders")
    permission = Permission.objects.create(integration=integration, name="orders_read")
    flow = AccessFlow.objects.create(
        name="Orders", require_mfa=True, max_duration=timedelta(hours=1), version=1, fingerprint=""
    )
    write_requesters(flow=flow, sets=named(groups=[everyone.pk]))
    target = FlowTarget.objects.create(flow=flow, resource=resource, permission=permission)
    flow.fingerprint = fingerprint_of(terms_of(flow))
    flow.save()
    return target.pk
