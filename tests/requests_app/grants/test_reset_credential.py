"""A credential that was shown is replaced: by its owner, while access is open, under the same rules."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from accessflows.models import Integration
from audit.events import EventName
from audit.models import Event
from mfa.exceptions import WindowClosed
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.factories import GrantFactory, UserFactory, sign

pytestmark = pytest.mark.django_db


def reset(grant, actor=None, window=None):
    return reset_credential(actor=actor or grant.request.requester, grant=grant, window=window)


def shown(**fields):
    """A grant whose credential was shown, on a target that does not answer."""
    given = {"login": "jit_x", "login_mark": "1", "system_identifier": "1"}
    return GrantFactory(**given | {"revealed_at": timezone.now()} | fields)


def test_only_its_owner(member_user):
    for actor in (member_user, UserFactory(admin=True)):
        with pytest.raises(Conflict):
            reset(shown(), actor=actor)
    assert not Event.objects.filter(event=EventName.GRANT_RESET).exists()


@pytest.mark.parametrize("state", [state for state in GrantState if state != GrantState.ACTIVE])
def test_only_while_the_grant_is_active(state):
    with pytest.raises(Conflict):
        reset(shown(state=state))


def test_only_while_the_request_is_active():
    grant = shown()
    AccessRequest.objects.update(status=Status.REVOKING)
    with pytest.raises(Conflict):
        reset(grant)


def test_not_after_the_deadline():
    grant = shown()
    with time_machine.travel(grant.deadline, tick=False), pytest.raises(Conflict):
        reset(grant)


def test_not_before_it_was_revealed():
    with pytest.raises(Conflict, match="not been revealed yet"):
        reset(shown(revealed_at=None))


def test_protected_access_requires_an_open_window():
    grant = shown()
    AccessRequest.objects.update(require_mfa=True, verified_at=grant.request.created_at)
    sign(grant.request)
    with pytest.raises(WindowClosed):
        reset(grant)
    assert not Event.objects.filter(event=EventName.GRANT_RESET).exists()


@pytest.mark.parametrize("cut", [True, False])
def test_the_reset_is_recorded_with_its_effect_on_sessions(cut):
    before = timezone.now()
    other, grant = shown(revealed_at=before), shown(revealed_at=before)
    Integration.objects.update(terminate_sessions_on_reset=cut)
    with pytest.raises(RequestRefused):
        reset(grant)
    metadata = Event.objects.get(event=EventName.GRANT_RESET).metadata
    assert (metadata["login"], metadata["sessions_terminated"]) == ("jit_x", cut)
    other.refresh_from_db()
    grant.refresh_from_db()
    assert other.revealed_at == before < grant.revealed_at


def test_a_target_that_does_not_answer_gets_a_sentence():
    with pytest.raises(RequestRefused, match="Reset again"):
        reset(shown())
    assert Event.objects.filter(event=EventName.GRANT_RETRY, metadata__step="reset").exists()


@pytest.mark.target
@pytest.mark.parametrize("cut", [True, False])
def test_the_old_password_stops_working_and_sessions_follow_the_setting(real_flow, cut):
    Integration.objects.update(terminate_sessions_on_reset=cut)
    grant = real_flow.active_grant()
    old = reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    with real_flow.pg.log_in(old) as session:
        new = reset(grant, actor=real_flow.requester)
        with pytest.raises(psycopg.OperationalError):
            real_flow.pg.log_in(old)
        real_flow.pg.log_in(new).close()
        if cut:
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        else:
            session.execute("SELECT 1")


@pytest.mark.target
def test_the_page_shows_the_new_one_once(real_flow, client):
    grant = real_flow.active_grant()
    client.force_login(real_flow.requester)
    address = reverse("requests:detail", args=[grant.request_id])
    assert "Reset credentials" not in client.get(address).content.decode()
    reveal_credential(actor=real_flow.requester, grant=grant, window=None)
    page = client.get(address).content.decode()
    assert "Reset credentials" in page
    assert "open sessions are terminated" in page
    answer = client.post(reverse("requests:reset", args=[grant.request_id]))
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Shown once." in answer.content.decode()
    metadata = Event.objects.get(event=EventName.GRANT_RESET).metadata
    assert metadata["sessions_terminated"] is True
    assert Grant.objects.get().revealed_at - timezone.now() < timedelta(minutes=1)
