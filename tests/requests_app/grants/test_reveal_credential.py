"""The credential: to its owner, once, in one reply, and nowhere else."""

import logging
import shlex
import subprocess
from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.apps import apps
from django.urls import reverse
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from accessflows.connectors.postgresql.connection_lines import psql_command
from accessflows.connectors.protocol import ConnectionLine, Credential
from audit.events import EventName
from audit.models import Event
from mfa.exceptions import WindowClosed
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reveal_credential
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.factories import GrantFactory, UserFactory, sign

pytestmark = pytest.mark.django_db


def reveal(grant, actor=None, window=None):
    return reveal_credential(actor=actor or grant.request.requester, grant=grant, window=window)


def ready(**fields):
    """A grant that says it is open, on a target that does not answer."""
    return GrantFactory(login="jit_x", login_mark="1", system_identifier="1", **fields)


def test_only_its_owner(member_user):
    for actor in (member_user, UserFactory(admin=True)):
        with pytest.raises(Conflict):
            reveal(ready(), actor=actor)
    assert not Event.objects.filter(event=EventName.GRANT_REVEAL).exists()


@pytest.mark.parametrize("state", [state for state in GrantState if state != GrantState.ACTIVE])
def test_only_while_the_grant_is_active(state):
    with pytest.raises(Conflict):
        reveal(ready(state=state))


@pytest.mark.parametrize("status", [Status.GRANTING, Status.REVOKING, Status.FAILED])
def test_only_while_the_request_is_active(status):
    grant = ready()
    AccessRequest.objects.update(status=status, pending_until=grant.deadline)
    with pytest.raises(Conflict):
        reveal(grant)


def test_not_after_the_deadline():
    grant = ready()
    with time_machine.travel(grant.deadline, tick=False), pytest.raises(Conflict):
        reveal(grant)


def test_protected_access_requires_an_open_window():
    grant = ready()
    AccessRequest.objects.update(require_mfa=True, verified_at=grant.request.created_at)
    sign(grant.request)
    with pytest.raises(WindowClosed):
        reveal(grant)
    grant.refresh_from_db()
    assert grant.revealed_at is None


def test_a_target_that_does_not_answer_leaves_it_unrevealed():
    grant = ready()
    with pytest.raises(RequestRefused, match="was not revealed"):
        reveal(grant)
    grant.refresh_from_db()
    assert grant.revealed_at is None
    assert Event.objects.filter(event=EventName.GRANT_RETRY).exists()


def test_other_grants_are_not_marked_revealed():
    shown_at = timezone.now()
    others = [ready(), ready(revealed_at=shown_at)]
    with pytest.raises(RequestRefused):
        reveal(ready())
    assert [Grant.objects.get(pk=other.pk).revealed_at for other in others] == [None, shown_at]


def test_the_reveal_is_recorded_before_the_call():
    grant = ready()
    with pytest.raises(RequestRefused):
        reveal(grant)
    event = Event.objects.get(event=EventName.GRANT_REVEAL)
    assert (event.actor_id, event.metadata["login"]) == (grant.request.requester_id, "jit_x")


def test_a_grant_without_a_known_login_reveals_nothing():
    with pytest.raises(Conflict):
        reveal(GrantFactory())


@pytest.mark.target
def test_a_credential_is_revealed_once(real_flow):
    grant = real_flow.active_grant()
    reveal(grant)
    with pytest.raises(Conflict, match="once"):
        reveal(grant)


@pytest.mark.target
def test_the_page_shows_the_password_and_stores_it_nowhere(real_flow, signed_in, caplog):
    caplog.set_level(logging.DEBUG)
    grant = real_flow.active_grant()
    client = signed_in(real_flow.requester)
    address = reverse("requests:reveal", args=[grant.request_id])
    answer = client.post(address, {"grant": grant.pk})
    credential = answer.context["credential"]
    assert answer.headers["Cache-Control"] == "no-store"
    for word in ("Host", "Port", "Database", "User", "Password", "Shown once", credential.password):
        assert word in answer.content.decode()
    again = client.get(reverse("requests:detail", args=[grant.request_id])).content.decode()
    texts = [again, caplog.text, str(dict(client.session.items()))]
    texts += [str(list(model._default_manager.values())) for model in apps.get_models()]
    assert not [text for text in texts if credential.password in text]
    with real_flow.pg.log_in(credential) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_the_page_redirects_to_verification_and_back(signed_in, open_window_of):
    grant = ready()
    open_window_of(grant.request.requester)
    AccessRequest.objects.update(require_mfa=True, verified_at=grant.request.created_at)
    sign(grant.request)
    client = signed_in(grant.request.requester)
    answer = client.post(reverse("requests:reveal", args=[grant.request_id]))
    assert (
        answer.headers["Location"]
        == f"/account/step-up/?next=%2Frequests%2FAR-{grant.request_id}%2F"
    )


def test_the_page_says_that_the_target_is_unreachable(signed_in):
    grant = ready()
    client = signed_in(grant.request.requester)
    answer = client.post(reverse("requests:reveal", args=[grant.request_id]), {"grant": grant.pk})
    assert answer.status_code == 409
    assert "was not revealed" in answer.content.decode()


def test_get_reveals_nothing(signed_in):
    grant = ready()
    client = signed_in(grant.request.requester)
    assert client.get(reverse("requests:reveal", args=[grant.request_id])).status_code == 405


def test_another_requests_grant_is_not_found(signed_in):
    mine, other = ready(), ready()
    client = signed_in(mine.request.requester)
    for named in (other.pk, "not-a-grant"):
        answer = client.post(reverse("requests:reveal", args=[mine.request_id]), {"grant": named})
        assert answer.status_code == 404


HOSTILE = ["orders", "a b", "a'b", 'a"b', "a=b", "$(id)", "a\\b", "postgresql://x", "db;rm", "-d"]


@pytest.mark.parametrize("database", HOSTILE)
@pytest.mark.parametrize("sslmode", ["prefer", "verify-full"])
def test_the_psql_command_is_unambiguous(database, sslmode):
    credential = Credential("db.example", 5433, database, "jit_x", "secret")
    line = psql_command(credential, sslmode=sslmode)
    assert "secret" not in line
    words = shlex.split(line)
    options = dict(zip(words[1::2], words[2::2], strict=True))
    value = options.pop("-d")
    plain = "=" not in value
    parameters = {"dbname": value} if plain else conninfo_to_dict(value)
    assert parameters.get("dbname") == database
    assert parameters.get("sslmode", "prefer") == sslmode
    assert options == {"-h": "db.example", "-p": "5433", "-U": "jit_x"}


@pytest.mark.target
def test_the_psql_command_works_when_pasted(real_flow):
    grant = real_flow.active_grant()
    credential = reveal(grant)
    psql = real_flow.pg.server.bin_dir / "psql"
    line = psql_command(credential, sslmode="disable").replace("psql", shlex.quote(str(psql)), 1)
    answer = subprocess.run(
        f"{line} -Atc 'SELECT current_user'",
        shell=True,
        env={"PGPASSWORD": credential.password},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert answer.stdout.strip() == grant.login


@pytest.mark.target
def test_a_late_reveal_revives_nothing(real_flow):
    grant = real_flow.active_grant()
    with time_machine.travel(grant.deadline - timedelta(seconds=1)):
        credential = reveal(grant)
    real_flow.pg.ask(f"ALTER ROLE {grant.login} NOLOGIN VALID UNTIL '2020-01-01'")
    Grant.objects.update(revealed_at=None)
    with pytest.raises(RequestRefused):
        reveal(grant)
    with pytest.raises(psycopg.OperationalError):
        real_flow.pg.log_in(credential)


def test_the_psql_command_wraps_before_its_options():
    line = "psql -h db.example -p 5432 -U jit_1 -d 'dbname=a sslmode=require'"
    options = ["psql", "-h db.example", "-p 5432", "-U jit_1", "-d 'dbname=a sslmode=require'"]
    assert ConnectionLine("Command", line).parts == options
    assert " ".join(options) == line
