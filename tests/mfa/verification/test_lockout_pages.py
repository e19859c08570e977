"""MFA Lockouts: admins see who is locked out by the 30-day limit and lift it with a reason."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mfa.models import MfaState, Outcome, Verification
from tests.factories import AuthenticatorFactory


@pytest.fixture
def locked_out(person):
    """Petra, a hundred wrong codes later."""
    AuthenticatorFactory(user=person)
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=person, outcome=Outcome.BAD, epoch=0, at=now - timedelta(hours=6 * n))
        for n in range(1, 101)
    )
    return person


def test_page_names_user_scope_and_times(locked_out, admin_client):
    text = admin_client.get("/mfa-lockouts/").content.decode()
    assert "<h1>MFA Lockouts</h1>" in text
    assert locked_out.name in text
    assert "New browsers, codes" in text
    assert f"Lift lockout for {locked_out.name}" in text


def test_empty_page_says_so(admin_client):
    assert "No lockouts" in admin_client.get("/mfa-lockouts/").content.decode()


def test_lifting_asks_for_a_reason_first(locked_out, admin_client):
    address = f"/mfa-lockouts/{locked_out.pk}/lift/"
    assert admin_client.get(address).status_code == 200
    assert not MfaState.objects.exclude(lockout_lifted_at=None).exists()
    for reason in ("", "  ", "x" * 501):
        answer = admin_client.post(address, {"reason": reason})
        assert answer.status_code == 422
        assert "Enter a reason" in answer.content.decode()
    done = admin_client.post(address, {"reason": "Password changed."}, follow=True)
    assert "can enter codes again" in done.content.decode()
    assert "No lockouts" in done.content.decode()


def test_lifting_nothing_says_so(member_user, admin_client):
    answer = admin_client.post(
        f"/mfa-lockouts/{member_user.pk}/lift/", {"reason": "x"}, follow=True
    )
    assert "is not locked out by the 30-day limit" in answer.content.decode()


def test_unknown_user_is_not_found(admin_client):
    assert admin_client.get("/mfa-lockouts/987654321/lift/").status_code == 404
