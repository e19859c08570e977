"""The demo's history: authentic rows, a whole chain, nothing active, and no email about the past."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from apono_portal.demo.history import DAYS, write_history
from apono_portal.demo.seeding import FLOWS, INTEGRATION, SEEDING_EMAIL, create_users, past_flow
from apono_portal.notifications.fan_out import fan_out
from apono_portal.users.models import User
from audit.integrity.verification import verify_log
from audit.models import Delivery, Event
from requests_app.evidence_checks import find_unrecorded_rows
from requests_app.insights.aggregation import figures_between
from requests_app.insights.daily_rollup import day_of, start_of
from requests_app.models import LIVE, PENDING, AccessRequest, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def seconds(tmp_path, settings) -> float:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    events = create_users(tmp_path / "accounts.json")
    started = time.monotonic()
    write_history(flows=[past_flow(flow) for flow in FLOWS], integration=INTEGRATION, before=events)
    return time.monotonic() - started


def test_chain_and_rows_verify_like_the_real_thing_within_seconds(seconds):
    assert seconds < 10
    assert verify_log().ok
    assert list(find_unrecorded_rows()) == []


def test_two_months_are_in_order_and_in_insights_and_nothing_is_active(seconds):
    times = list(Event.objects.order_by("pk").values_list("at", flat=True))
    assert times == sorted(times)
    assert times[-1] < timezone.now()
    assert times[-1] - times[0] > timedelta(days=DAYS - 5)
    statuses = set(AccessRequest.objects.values_list("status", flat=True))
    assert statuses >= {Status.EXPIRED, Status.REVOKED}
    assert not statuses & {*PENDING, *LIVE}
    assert AccessRequest.objects.filter(break_glass=True).exists()
    first = day_of(timezone.now() - timedelta(days=30))
    figures = figures_between(start_of(first), timezone.now())
    assert figures["requests"]["granted"] > 20
    assert figures["revocations"]["punctual"] > 10


def test_nobody_is_notified_of_the_past_and_no_admin_is_stray(seconds):
    assert fan_out(timezone.now()) == 0
    assert not Delivery.objects.exists()
    assert [admin.name for admin in User.objects.account_admins()] == ["Nora Ekman"]
    assert not User.objects.get(email=SEEDING_EMAIL).is_active
