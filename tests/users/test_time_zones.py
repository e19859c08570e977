"""Times are shown in the user's own time zone: the chosen one, else the browser's, else the portal's."""

import pytest
from django.urls import reverse

from apono_portal.users.time_zones import zone_named
from audit.events import EventName
from audit.models import Event

pytestmark = pytest.mark.django_db


def zone_of(client):
    page = client.get(reverse("users:time_zone")).content.decode()
    return page.partition("Pages show times in ")[2].partition(" now")[0]


def test_the_portals_is_the_default(member_client, settings):
    assert zone_of(member_client) == settings.TIME_ZONE


def test_the_browsers_is_used_until_one_is_chosen(member_client, member_user):
    member_client.cookies["time_zone"] = "Asia/Tokyo"
    assert zone_of(member_client) == "Asia/Tokyo"
    answer = member_client.post(reverse("users:time_zone"), {"time_zone": "Europe/Oslo"})
    assert answer.status_code == 302
    assert zone_of(member_client) == "Europe/Oslo"
    event = Event.objects.get(event=EventName.USER_CHANGE)
    assert event.metadata == {"changes": {"time_zone": {"from": "", "to": "Europe/Oslo"}}}


def test_an_event_is_shown_in_that_zone(auditor_client, auditor_user):
    event = Event.objects.create(event="session:sign_in", at="2026-05-31T20:15:00+00:00")
    auditor_user.time_zone = "Asia/Tokyo"
    auditor_user.save()
    page = auditor_client.get(f"{reverse('audit:list')}?open={event.pk}").content.decode()
    assert "1 Jun 05:15:00" in page


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "", "UTC\n", "a" * 65, "Europe"])
def test_what_is_no_time_zone_is_refused(member_client, name):
    assert zone_named(name) is None
    member_client.cookies["time_zone"] = name.strip()[:40]
    assert member_client.get(reverse("users:time_zone")).status_code == 200
    if name:
        posted = member_client.post(reverse("users:time_zone"), {"time_zone": name + "!"})
        assert posted.status_code == 422
