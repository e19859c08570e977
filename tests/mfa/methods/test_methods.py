"""Several methods: a second app, renaming, removing, and an admin who vouches for a passkey."""

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.enrolment.services import MAX_AUTHENTICATORS, begin_set_up
from mfa.exceptions import LastMethod, MethodNotFound, NotAllowed, TooManyMethods, WindowClosed
from mfa.methods.services import remove_method, rename_method, vouch_for_passkey
from mfa.models import Authenticator, Method, MfaState, Outcome, Passkey
from mfa.reset import reset_mfa_from_console
from mfa.verification.evidence import require_evidence
from requests_app.submission.step_up import set_up_mfa
from tests.factories import (
    AuthenticatorFactory,
    PasskeyFactory,
    UserFactory,
    VerificationFactory,
    code_for,
    window_of,
)
from tests.mfa.conftest import HERE, wrong_for


@pytest.fixture
def window(clock, person, device):
    return window_of(VerificationFactory(user=person))


def change(person, service, method, window, **values):
    kind = Method.PASSKEY if isinstance(method, Passkey) else Method.CODE
    return service(user=person, kind=kind, pk=method.pk, window=window, client_info=HERE, **values)


def test_new_phone_needs_no_admin(person, device, window, enter):
    """Set up on the new phone, remove the old one; windows, evidence and epoch stay."""
    begun = begin_set_up(user=person, password_proven_at=None, client_info=HERE, window=window)
    begun.secret = begun.bin_key
    result, _ = set_up_mfa(
        user=person, device_id=begun.pk, code=code_for(begun), name="New", window=window
    )
    assert (result.ok, result.success, result.recovery_codes) == (True, None, [])
    assert MfaState.objects.get().epoch == 0
    assert require_evidence(user=person, window=window)
    change(person, remove_method, device, window)
    assert enter(code_for(device)).outcome == Outcome.BAD
    with pytest.raises(WindowClosed):  # it was opened by the removed one
        require_evidence(user=person, window=window)


def test_code_of_either_app_counts_once(clock, person, device, enter):
    second = AuthenticatorFactory(user=person, name="Second")
    assert enter(code_for(second)).verification.device_name == "Second"
    assert enter(code_for(second)).outcome == Outcome.REPLAY
    assert enter(code_for(device)).verification.device_id == device.pk
    assert enter(code_for(device)).outcome == Outcome.REPLAY
    result = enter(wrong_for(device))
    assert (result.outcome, result.verification.device_id) == (Outcome.BAD, None)


def test_there_are_few_apps_as_a_guess_is_compared_with_each(person, window):
    for _ in range(MAX_AUTHENTICATORS - 1):
        AuthenticatorFactory(user=person)
    with pytest.raises(TooManyMethods):
        begin_set_up(user=person, password_proven_at=None, client_info=HERE, window=window)


def test_last_method_is_not_removed(person, device, window):
    with pytest.raises(LastMethod):
        change(person, remove_method, device, window)
    assert Authenticator.objects.get() == device


def test_passkey_of_another_address_does_not_replace_the_last_method(
    person, device, window, settings, signed_in
):
    key = PasskeyFactory(user=person)
    former = PasskeyFactory(user=person, rp_id="former.example")
    change(person, remove_method, key, window)
    with pytest.raises(LastMethod):
        change(person, remove_method, device, window)
    page = signed_in(person).get("/account/security/").content.decode()
    assert f"/account/security/methods/code/{device.pk}/remove/" not in page
    assert page.count("Does not work at this portal") == 1
    change(person, remove_method, former, window)
    PasskeyFactory(user=person)
    settings.PORTAL_URL = "http://127.0.0.1"
    with pytest.raises(LastMethod):
        change(person, remove_method, device, window)
    settings.PORTAL_URL = "http://localhost"
    change(person, remove_method, device, window)


@pytest.mark.parametrize(
    ("service", "values"), [(remove_method, {}), (rename_method, {"name": "x"})]
)
def test_change_needs_an_open_window_and_one_s_own_method(person, device, window, service, values):
    key, other = PasskeyFactory(user=person), PasskeyFactory(user=UserFactory())
    with pytest.raises(WindowClosed):
        change(person, service, key, None, **values)
    with pytest.raises(MethodNotFound):
        change(person, service, other, window, **values)
    change(person, service, key, window, **values)
    assert Event.objects.latest("pk").metadata["method"] == "passkey"
    assert Passkey.objects.filter(pk=other.pk, name="Security key").exists()


def test_renamed_passkey_is_still_the_portal_s(person, device, window):
    key = PasskeyFactory(user=person)
    change(person, rename_method, key, window, name="Blue key")
    key.refresh_from_db()
    assert (key.name, key.is_authentic) == ("Blue key", True)


def test_reset_removes_every_method(person, device):
    PasskeyFactory(user=person)
    reset_mfa_from_console(user=person, reason="Lost", operator="root")
    assert not Passkey.objects.exists()
    assert not Authenticator.objects.exists()


def test_user_with_only_a_passkey_can_be_reset(person):
    PasskeyFactory(user=person)
    reset_mfa_from_console(user=person, reason="Lost", operator="root")
    assert not Passkey.objects.exists()


def test_recovery_code_of_a_user_with_passkeys_only_opens_the_window(person, signed_in):
    PasskeyFactory(user=person)
    [code, *_] = replace_recovery_codes(user_id=person.pk)
    browser = signed_in(person)
    assert browser.post("/account/step-up/?with=recovery", {"code": code}).status_code == 302
    page = browser.get("/account/security/")
    assert page.wsgi_request.mfa.is_open
    assert "Verified with Recovery code" in page.content.decode()


def vouch(actor, user, key, window=None):
    return vouch_for_passkey(actor=actor, user=user, pk=key.pk, window=window, client_info=HERE)


def test_admin_vouches_for_another_users_passkey_only(clock, person):
    key = PasskeyFactory(user=person, created_at=timezone.now())
    admin = UserFactory(admin=True)
    with pytest.raises(NotAllowed):
        vouch(UserFactory(), person, key)
    own = PasskeyFactory(user=admin, created_at=timezone.now())
    with pytest.raises(MethodNotFound):
        vouch(admin, admin, own, window_of(VerificationFactory(user=admin)))
    vouch(admin, person, key, window_of(VerificationFactory(user=admin)))
    key.refresh_from_db()
    assert (key.is_new, key.is_authentic) == (False, True)
    assert Event.objects.get(event=EventName.MFA_VOUCH_PASSKEY).target_id == str(person.pk)


def test_enrolled_admin_vouches_in_an_open_window_only(clock, person):
    key = PasskeyFactory(user=person, created_at=timezone.now())
    admin = AuthenticatorFactory(user=UserFactory(admin=True)).user
    with pytest.raises(WindowClosed):
        vouch(admin, person, key)


def test_user_page_lists_methods_and_vouches(db, verified, person):
    key = PasskeyFactory(user=person, name="Blue key", created_at=timezone.now())
    client = verified(UserFactory(admin=True))
    page = client.get(f"/users/{person.pk}/").content.decode()
    assert "Blue key" in page
    assert 'aria-label="MFA set up: Passkey"' in client.get("/users/").content.decode()
    address = f"/users/{person.pk}/passkeys/{key.pk}/vouch/"
    assert address in page
    assert client.post(address).status_code == 302
    key.refresh_from_db()
    assert key.vouched_at is not None
    assert address not in client.get(f"/users/{person.pk}/").content.decode()
