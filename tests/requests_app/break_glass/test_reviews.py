"""Break-glass access is reviewed by another admin, and "Not justified" pauses it for its user."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from mfa.exceptions import NotAllowed, WindowClosed
from requests_app.break_glass.services import lift_pause, review_access
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.activation import begin_activation
from requests_app.grants.revocation import revoke_ineligible
from requests_app.models import AccessRequest, BreakGlassReview, Status
from requests_app.submission.evaluation import evaluate
from requests_app.submission.selection import Selection
from tests.factories import UserFactory, fresh_window
from tests.notifications.conftest import emailed
from tests.requests_app.break_glass.conftest import emergency_flow, taken

pytestmark = pytest.mark.django_db
JUSTIFIED = BreakGlassReview.Verdict.JUSTIFIED
NOT_JUSTIFIED = BreakGlassReview.Verdict.NOT_JUSTIFIED
NOTE = "The incident is on record."


@pytest.fixture
def admin():
    return UserFactory(admin=True, name="Nora Ekman")


def review(admin, request, verdict=JUSTIFIED, note=NOTE, **fields):
    window = fields.pop("window", None) or fresh_window(admin)
    return review_access(actor=admin, window=window, request=request, verdict=verdict, note=note)


def test_a_review_is_recorded_with_its_note(admin, used):
    review(admin, used)
    event = Event.objects.get(event=EventName.REQUEST_REVIEW)
    assert (event.metadata["verdict"], event.metadata["reason"]) == (JUSTIFIED, NOTE)
    assert not AccessRequest.objects.to_review().exists()


def test_nobody_reviews_their_own_access(admin):
    own = taken(emergency_flow(admin), admin)
    with pytest.raises(RequestRefused, match="another admin"):
        review(admin, own)


def test_an_auditor_and_a_closed_window_review_nothing(admin, used):
    auditor = UserFactory(auditor=True)
    with pytest.raises(NotAllowed):
        review(auditor, used)
    stale = fresh_window(admin)
    admin.mfa_state.epoch += 1
    admin.mfa_state.save()
    with pytest.raises(WindowClosed):
        review(admin, used, window=stale)
    assert not BreakGlassReview.objects.exists()


def test_a_review_needs_a_note_and_an_end_and_happens_once(admin, used, flow, requester):
    with pytest.raises(RequestRefused, match="Enter a reason"):
        review(admin, used, note="...")
    with pytest.raises(Conflict, match="not ended"):
        review(admin, taken(flow, requester, status=Status.ACTIVE))
    review(admin, used)
    with pytest.raises(Conflict, match="first"):
        review(UserFactory(admin=True), used)


def refusals_of(flow, requester):
    selection = Selection(list(flow.targets.all()), timedelta(hours=1), "Locked again, INC-8.")
    evaluation = evaluate(
        requester=requester, selection=selection, verification=None, now=timezone.now()
    )
    return [refusal.sentence for refusal in evaluation.refusals]


def test_not_justified_pauses_requests_and_ends_what_is_active(admin, used, active, flow):
    assert refusals_of(flow, used.requester) == []
    waiting = taken(flow, used.requester, status=Status.GRANTING)
    paused = review(admin, used, NOT_JUSTIFIED)
    [sentence] = refusals_of(flow, used.requester)
    assert sentence.startswith(f"Break-glass access is paused since {used.reference}")
    assert begin_activation(request_pk=waiting.pk).status == Status.CANCELLED
    revoke_ineligible()
    active.refresh_from_db()
    assert active.status == Status.REVOKING
    lift_pause(actor=admin, window=fresh_window(admin), review=paused)
    assert refusals_of(flow, used.requester) == []
    with pytest.raises(Conflict):
        lift_pause(actor=admin, window=fresh_window(admin), review=paused)


def test_a_pause_is_of_one_user_only(admin, used, flow):
    other = UserFactory()
    flow = emergency_flow(other)
    request = taken(flow, other, status=Status.GRANTING)
    review(admin, used, NOT_JUSTIFIED)
    assert refusals_of(flow, other) == []
    assert begin_activation(request_pk=request.pk).status == Status.GRANTING


def test_nobody_lifts_their_own_pause(admin):
    other = UserFactory(admin=True)
    paused = review(other, taken(emergency_flow(admin), admin), NOT_JUSTIFIED)
    with pytest.raises(RequestRefused):
        lift_pause(actor=admin, window=fresh_window(admin), review=paused)


def test_requester_and_other_admins_learn_that_it_was_not_justified(admin, used):
    other = UserFactory(admin=True)
    review(admin, used, NOT_JUSTIFIED)
    subject = f"{used.reference} was reviewed: not justified"
    assert sorted(emailed()) == sorted([(other.email, subject), (used.requester.email, subject)])


def test_a_justified_review_is_sent_to_the_requester_alone(admin, used):
    review(admin, used)
    assert [to for to, _ in emailed()] == [used.requester.email]


def test_an_admin_reviews_on_the_page(verified, admin, used):
    client = verified(admin)
    page = client.get(reverse("requests:reviews")).content.decode()
    assert "Jonas Keller</a> used break-glass" in page
    assert "not reviewed</span>" in page  # the count in the navigation
    address = reverse("requests:refuse", args=[used.pk])
    assert client.post(address, {"note": ""}).status_code == 422
    assert client.post(address, {"note": NOTE}).status_code == 302
    page = client.get(reverse("requests:review", args=[used.pk])).content.decode()
    assert "Lift pause" in page
    assert client.get(f"{reverse('requests:reviews')}?show=done").status_code == 200


def test_an_auditor_reads_the_queue_without_a_form(auditor_client, used):
    page = auditor_client.get(reverse("requests:reviews")).content.decode()
    assert "Jonas Keller</a> used break-glass" in page
    assert "Mark as justified" not in page


def test_the_mark_stands_out_in_every_report(verified, admin, active):
    requester, admin_client = verified(active.requester), verified(admin)
    pages = [
        (requester, reverse("requests:my_access")),
        (requester, reverse("requests:list")),
        (requester, reverse("requests:detail", args=[active.pk])),
        (admin_client, f"{reverse('requests:active_access')}?access=break_glass"),
        (admin_client, f"{reverse('requests:activity')}?break_glass=to_review"),
        (admin_client, reverse("flows:list")),
    ]
    for client, address in pages:
        assert '#i-bolt"/></svg>Break-glass' in client.get(address).content.decode(), address


def test_exports_name_the_review(verified, admin, used):
    review(admin, used)
    export = verified(admin).get(f"{reverse('requests:activity_csv')}?break_glass=only")
    text = b"".join(export.streaming_content).decode()
    assert f"justified by {admin}" in text
    assert ",True," in text
