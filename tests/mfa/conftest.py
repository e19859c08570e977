"""Users with and without MFA, and ways to enter codes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import cbor2
import pytest
import time_machine
from django.conf import settings
from django.db import transaction
from django.test import Client, RequestFactory
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.models import User
from bench.software_passkey import SoftPasskey, encode
from mfa.enrolment.reauthentication import SIGNED_IN_AT
from mfa.enrolment.recovery_codes import verify_recovery_code
from mfa.models import Authenticator, TrustedBrowser
from mfa.passkeys.verification import begin_verification, verify_passkey
from mfa.verification.attempts import VerificationResult, record_success
from mfa.verification.services import verify_code
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.window import open_window
from tests.factories import AuthenticatorFactory, PasskeyFactory, UserFactory, code_for

HERE = ClientInfo("192.0.2.7", "Firefox of the tests")
START = 1_800_000_000  # the beginning of a step of 30 seconds


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as travel:
        yield travel


@pytest.fixture
def person(db: None) -> User:
    return UserFactory(name="Petra Person", email="petra@example.org")


@pytest.fixture
def device(person: User) -> Authenticator:
    """Petra's confirmed authenticator."""
    return AuthenticatorFactory(user=person)


@pytest.fixture
def enter(person: User) -> Callable[..., VerificationResult]:
    """``enter("123456")`` is an attempt of Petra's, by default in an unknown browser."""

    def enter(
        code: str, scope: ThrottleScope | None = None, user: User = person
    ) -> VerificationResult:
        return enter_code(user, code, scope)

    return enter


def enter_code(user: User, code: str, scope: ThrottleScope | None = None) -> VerificationResult:
    """Verify a code and record a success that releases nothing."""
    with transaction.atomic():
        result = verify_code(user=user, code=code, scope=scope or ThrottleScope(), client_info=HERE)
        if result.ok:
            record_success(result)
    return result


def enter_recovery_code(
    user: User, code: str, scope: ThrottleScope | None = None
) -> VerificationResult:
    with transaction.atomic():
        result = verify_recovery_code(
            user=user, code=code, scope=scope or ThrottleScope(), client_info=HERE
        )
        if result.ok:
            record_success(result)
    return result


@pytest.fixture
def trusted(clock, person, device, enter) -> ThrottleScope:
    """The scope of a browser in which Petra has verified, half a minute later."""
    assert enter(code_for(device)).browser_cookie
    clock.shift(30)
    return ThrottleScope(TrustedBrowser.objects.get(user=person).nonce_hash)


@pytest.fixture
def petra(person: User, signed_in: Callable[[User], Client]) -> Client:
    """Petra's signed-in browser, its password proven just now."""
    return freshly_signed_in(person, signed_in)


def freshly_signed_in(person: User, signed_in: Callable[[User], Client]) -> Client:
    client = signed_in(person)
    session = client.session
    session[SIGNED_IN_AT] = timezone.now().isoformat()
    session.save()
    return client


def wrong_for(device: Authenticator) -> str:
    """Six digits that are none of the codes around this moment."""
    return f"{(int(code_for(device)) + 500_000) % 1_000_000:06}"


def opened_browser(device: Authenticator, signed_in: Callable[[User], Client]) -> Client:
    """A signed-in browser of the device's owner whose window is open."""
    client = freshly_signed_in(device.user, signed_in)
    request = RequestFactory().get("/")
    request.session = client.session
    request.user = User.objects.select_related("mfa_state").get(pk=device.user.pk)
    open_window(request, enter_code(device.user, code_for(device)).verification)
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
    return client


def soft_passkey(user: User, *, days_old: int = 2, synced: bool = False) -> SoftPasskey:
    """A passkey of the user's, added through the row that the portal would have written."""
    soft = SoftPasskey(synced=synced, user_handle="aGFuZGxl")
    numbers = soft.key.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    PasskeyFactory(
        user=user,
        name="Security key",
        credential_id=encode(soft.credential_id),
        public_key=encode(cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})),
        is_device_bound=not synced,
        created_at=timezone.now() - timedelta(days=days_old),
    )
    return soft


def sign_in_with_passkey(
    user: User, passkey: SoftPasskey, session_ref: str = "session", **kwargs: Any
) -> VerificationResult:
    """Run a whole ceremony in one session."""
    options = begin_verification(user=user, session_ref=session_ref)
    return enter_passkey(user, passkey.sign(options, **kwargs), session_ref)


def enter_passkey(user: User, response: str, session_ref: str = "session") -> VerificationResult:
    scope = ThrottleScope(session_ref=session_ref)
    with transaction.atomic():
        result = verify_passkey(user=user, response=response, scope=scope, client_info=HERE)
        if result.ok:
            record_success(result)
    return result
