"""Django admin: an open window for everything, nothing to change, no key anywhere."""

import pytest
from django.contrib import admin
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from mfa.models import Authenticator, MfaState, RecoveryCode, TrustedBrowser, Verification
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import opened_browser

MODELS = [Authenticator, TrustedBrowser, MfaState, Verification]


@pytest.fixture
def admin_device(db) -> Authenticator:
    return AuthenticatorFactory(user=UserFactory(admin=True))


@pytest.fixture
def verified(admin_device, signed_in):
    """An admin's browser with an open window."""
    return opened_browser(admin_device, signed_in)


def test_page_of_totp_devices_is_gone(verified):
    assert not admin.site.is_registered(TOTPDevice)
    assert not admin.site.is_registered(RecoveryCode)
    assert verified.get("/admin/otp_totp/totpdevice/").status_code == 404


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_listed_and_shown_without_secrets(verified, admin_device, model):
    name = model._meta.model_name
    listed = verified.get(reverse(f"admin:mfa_{name}_changelist"))
    shown = verified.get(reverse(f"admin:mfa_{name}_change", args=[model.objects.first().pk]))
    admin_device.refresh_from_db()
    for page in (listed, shown):
        assert page.status_code == 200
        text = page.content.decode()
        assert admin_device.key not in text
        assert "nonce" not in text
        assert "otpauth" not in text


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_changed_or_deleted(verified, model):
    row = model.objects.first()
    name = model._meta.model_name
    for address in (
        reverse(f"admin:mfa_{name}_add"),
        reverse(f"admin:mfa_{name}_change", args=[row.pk]),
        reverse(f"admin:mfa_{name}_delete", args=[row.pk]),
    ):
        assert verified.post(address, {"confirmed": "on", "post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_with_a_closed_window_every_page_leads_to_the_code(admin_device, signed_in, method):
    closed = signed_in(admin_device.user)
    for address in ("/admin/", "/admin/mfa/verification/", "/admin/nowhere/"):
        answer = getattr(closed, method)(address)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/account/step-up/?next=")


def test_admin_without_mfa_is_led_to_set_up(db, signed_in):
    answer = signed_in(UserFactory(admin=True)).get("/admin/")
    assert answer.headers["Location"] == "/account/security/?next=%2Fadmin%2F"


def test_open_window_lets_in(verified):
    assert verified.get("/admin/").status_code == 200


def test_window_of_the_base_class_does_not_exist(admin_device):
    """Rows read through django-otp's own class neither list for verifying nor verify."""
    raw = TOTPDevice.objects.get(pk=admin_device.pk)
    with pytest.raises(ValueError, match=r"(?i)hexadecimal|odd-length"):
        raw.verify_token(code_for(admin_device))
