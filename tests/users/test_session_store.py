"""The server-side session: a new key moves the stored session, and what was ended stays ended."""

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.utils import timezone

from apono_portal.users.sessions import BEGAN_AT, SessionStore, hash_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored():
    session = SessionStore()
    session["word"] = "kept"
    session.save()
    return session


def reopened(key):
    return SessionStore(key)


def data_of(key):
    """Return what a session holds, without when it began."""
    return {name: value for name, value in reopened(key).items() if name != BEGAN_AT}


def test_a_new_key_takes_the_session_along_and_the_old_one_is_dead(stored):
    former = stored.session_key
    stored.cycle_key()
    stored["more"] = 1
    stored.save()
    assert stored.session_key != former
    assert data_of(stored.session_key) == {"word": "kept", "more": 1}
    assert dict(reopened(former).items()) == {}
    assert Session.objects.count() == 1


def test_a_session_ended_meanwhile_is_not_brought_back(stored):
    stored.cycle_key()
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        stored.save()
    assert not Session.objects.exists()


def test_ending_a_session_with_a_new_key_ends_the_stored_one(stored):
    stored.cycle_key()
    stored.flush()
    assert not Session.objects.exists()


def test_two_new_keys_in_a_row_leave_one_session(stored):
    stored.cycle_key()
    stored.cycle_key()
    stored.save()
    assert data_of(stored.session_key) == {"word": "kept"}
    assert Session.objects.count() == 1


def test_an_expired_session_is_empty(stored):
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE + 1)):
        assert data_of(stored.session_key) == {}


def test_an_invented_key_is_not_taken_over():
    session = reopened("x" * 32)
    session["word"] = "new"
    session.cycle_key()
    session.save()
    assert session.session_key != "x" * 32
    assert data_of(session.session_key) == {"word": "new"}


def test_a_key_in_the_table_opens_no_session(stored):
    row = Session.objects.get()
    assert row.session_key != stored.session_key
    assert dict(reopened(row.session_key).items()) == {}


def test_content_copied_to_another_key_is_empty(stored):
    other = SessionStore()
    other["word"] = "mine"
    other.save()
    copied = Session.objects.get(session_key=hash_of(stored.session_key)).session_data
    Session.objects.filter(session_key=hash_of(other.session_key)).update(session_data=copied)
    assert dict(reopened(other.session_key).items()) == {}


def test_the_portal_uses_it():
    assert settings.SESSION_ENGINE == "apono_portal.users.sessions"
