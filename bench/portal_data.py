"""Integrations, flows and enrolled users of a portal. Needs Django to be set up."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyotp
from django.test import override_settings

from accessflows.flows.services import create_flow
from accessflows.flows.terms import FlowInput
from accessflows.integrations.checks import check_integration
from accessflows.integrations.services import create_integration
from accessflows.integrations.terms import IntegrationInput
from accessflows.models import AccessFlow, Integration, Permission, Resource
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import User
from mfa.models import Authenticator, MfaState


def add_integration(admin: User, *, name: str, **address: Any) -> Integration:
    """Create an integration and read what its target offers. Raise SystemExit if it does not answer."""
    terms = IntegrationInput(name=name, sslmode=Integration.SslMode.DISABLE, **address)
    with acting_without_mfa():
        integration = create_integration(actor=admin, window=None, terms=terms, client_info=SYSTEM)
    inspection = check_integration(actor=admin, integration=integration, client_info=SYSTEM)
    if inspection.inventory is None:
        failures = [check.sentence for check in inspection.checks if not check.ok]
        raise SystemExit(f"The target does not answer: {failures}")
    return integration


def add_flow(
    admin: User,
    integration: Integration,
    *,
    name: str,
    resource: str,
    permission: str,
    max_duration: timedelta,
    **terms: Any,
) -> AccessFlow:
    """Create a flow to one permission on one resource."""
    target = (
        Resource.objects.get(integration=integration, name=resource).pk,
        Permission.objects.get(integration=integration, name=permission).pk,
    )
    complete = FlowInput(name=name, targets=frozenset({target}), max_duration=max_duration, **terms)
    with acting_without_mfa():
        return create_flow(actor=admin, window=None, terms=complete, client_info=SYSTEM)


def acting_without_mfa() -> override_settings:
    """Let an admin without an authenticator act while a portal is filled."""
    return override_settings(MFA_ADMINS_MUST_ENROL=False)


def enrol(users: Sequence[User]) -> dict[int, str]:
    """Give users an authenticator app each, and return its base32 secret by user."""
    secrets = {user.pk: pyotp.random_base32() for user in users}
    states = [MfaState(user=user) for user in users]
    MfaState.objects.bulk_create(states, ignore_conflicts=True)
    app = {"name": "Authenticator app", "confirmed": True}
    devices = []
    for pk, secret in secrets.items():
        key = encryption.encrypt(base64.b32decode(secret), purpose=encryption.TOTP_KEY, owner=pk)
        devices.append(Authenticator(user_id=pk, key=key, **app))
    Authenticator.objects.bulk_create(devices)
    return secrets
