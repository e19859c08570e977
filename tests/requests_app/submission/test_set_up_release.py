"""The code that turns MFA on is a verification: it releases what the page listed."""

import pyotp
import pytest
from django.test import Client
from django.urls import reverse

from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from mfa.models import Strength, Verification
from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, UserFactory
from tests.mfa.conftest import freshly_signed_in

pytestmark = pytest.mark.django_db
CONFIRM = "/account/security/authenticator/confirm/"


@pytest.fixture
def newcomer() -> User:
    return UserFactory()


@pytest.fixture
def laptop(newcomer, signed_in) -> Client:
    return freshly_signed_in(newcomer, signed_in)


def park(user: User, **flow) -> AccessRequest:
    protected = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1, **flow)
    return AccessRequestFactory(requester=user, flow=protected, status=Status.PENDING_MFA)


def begin(laptop: Client, next_url: str = ""):
    """Press Set up: the page, and the code that an app shows for its key."""
    form = {"next": next_url} if next_url else {}
    page = laptop.post("/account/security/authenticator/", form, follow=True)
    uri = page.context["provisioning"].uri
    return page, pyotp.parse_uri(uri).now()


def status_of(request: AccessRequest) -> str:
    request.refresh_from_db()
    return request.status


def test_first_code_releases_what_the_page_lists(newcomer, laptop):
    starts, waits = park(newcomer), park(newcomer, approval="any_of")
    page, code = begin(laptop)
    assert f"{starts.reference}</a>" in page.content.decode()
    done = laptop.post(CONFIRM, {"code": code, "shown": page.context["shown"]})
    assert f"Released: {starts.reference}, {waits.reference}." in done.content.decode()
    assert (status_of(starts), status_of(waits)) == (Status.GRANTING, Status.PENDING_APPROVAL)


@pytest.mark.parametrize(
    ("terms", "sentences"),
    [
        ([{}], []),
        ([{}, {"verify_every_request": True}], []),
        ([{"mfa_strength": Strength.PHISHING_RESISTANT}], ["a passkey"]),
        ([{"verify_every_request": True}] * 2, ["one of those"]),
        (
            [{"mfa_strength": Strength.DEVICE_BOUND}, *[{"verify_every_request": True}] * 2],
            ["a passkey", "one of those"],
        ),
    ],
)
def test_page_says_which_requests_the_code_does_not_release(newcomer, laptop, terms, sentences):
    requests = [park(newcomer, **flow) for flow in terms]
    page, code = begin(laptop)
    hint = page.context["stays_pending"]
    assert [words for words in ("a passkey", "one of those") if words in hint] == sentences
    assert hint in page.content.decode()
    assert ("releases the requests you" in page.content.decode()) is not bool(hint)
    laptop.post(CONFIRM, {"code": code, "shown": page.context["shown"]})
    assert (Status.PENDING_MFA in map(status_of, requests)) is bool(hint)


def test_evidence_of_the_first_code_is_that_of_any_verification(newcomer, laptop):
    request = park(newcomer)
    page, code = begin(laptop)
    laptop.post(CONFIRM, {"code": code, "shown": page.context["shown"], "name": "Aegis"})
    request.refresh_from_db()
    success = Verification.objects.passed().get()
    assert (request.verification, request.verified_with) == (success, "Aegis")
    assert request.is_authentic
    events = [EventName.MFA_SET_UP, EventName.MFA_VERIFY]
    written = Event.objects.filter(event__in=events).order_by("pk")
    assert [event.event for event in written] == events
    assert written[1].metadata["requests"] == [request.reference]


def test_a_request_that_is_left_out_stays_pending(newcomer, laptop):
    released, left_out = park(newcomer), park(newcomer)
    page, code = begin(laptop)
    form = {"code": code, "shown": page.context["shown"], "leave_out": left_out.pk}
    laptop.post(CONFIRM, form)
    assert (status_of(released), status_of(left_out)) == (Status.GRANTING, Status.PENDING_MFA)


@pytest.mark.parametrize("shown", [None, "", "0"])
def test_a_request_that_the_page_did_not_list_stays_pending(newcomer, laptop, shown):
    """As one that somebody with the password submits while the owner scans the code."""
    request = park(newcomer)
    _, code = begin(laptop)
    laptop.post(CONFIRM, {"code": code} | ({} if shown is None else {"shown": shown}))
    assert Verification.objects.passed().count() == 1
    assert status_of(request) == Status.PENDING_MFA


def test_requests_from_another_browser_come_left_out(newcomer, laptop):
    request = park(newcomer)
    Event.objects.create(
        event=EventName.REQUEST_SUBMIT,
        actor_id=newcomer.pk,
        request_id=request.pk,
        address="203.0.113.9",
        user_agent="Mozilla/5.0 (Windows NT 10.0) Chrome/131.0 Safari/537.36",
    )
    page, _ = begin(laptop)
    assert f'value="{request.pk}" form="set-up" checked' in page.content.decode()
    assert "Submitted from another browser: Chrome on Windows" in page.content.decode()


def test_a_wrong_code_releases_nothing_and_keeps_what_was_ticked(newcomer, laptop):
    request = park(newcomer)
    page, code = begin(laptop)
    wrong = f"{(int(code) + 500_000) % 1_000_000:06}"
    form = {"code": wrong, "shown": page.context["shown"], "leave_out": request.pk}
    refused = laptop.post(CONFIRM, form)
    assert refused.status_code == 422
    assert f'value="{request.pk}" form="set-up" checked' in refused.content.decode()
    assert status_of(request) == Status.PENDING_MFA


def test_other_users_requests_stay_pending(newcomer, laptop):
    other = park(UserFactory())
    _, code = begin(laptop)
    laptop.post(CONFIRM, {"code": code, "shown": f"{other.pk}"})
    assert status_of(other) == Status.PENDING_MFA


def test_an_enrolled_users_pending_request_is_not_released_by_setting_up(newcomer, laptop):
    """Whoever has the session of an enrolled user gets no second way to release requests."""
    _, code = begin(laptop)
    laptop.post(CONFIRM, {"code": code})
    request = park(newcomer)
    refused = laptop.post(CONFIRM, {"code": code, "shown": f"{request.pk}"})
    assert refused.headers["Location"] == "/account/security/"
    assert status_of(request) == Status.PENDING_MFA


def test_the_user_lands_where_they_were_going(newcomer, laptop):
    page, code = begin(laptop, next_url="/requests/?page=2")
    assert page.context["next"] == "/requests/?page=2"
    done = laptop.post(CONFIRM, {"code": code, "next": "/requests/?page=2"})
    assert '<input type="hidden" name="next" value="/requests/?page=2">' in done.content.decode()
    saved = laptop.get(reverse("mfa:codes_saved"), {"next": "/requests/?page=2", "saved": "on"})
    assert saved.headers["Location"] == "/requests/?page=2"


@pytest.mark.parametrize("next_url", ["https://evil.example/", "//evil.example/x"])
def test_no_page_of_another_site_is_carried_along(newcomer, laptop, next_url):
    page, code = begin(laptop, next_url=next_url)
    assert page.context["next"] == ""
    assert "evil.example" not in laptop.post(CONFIRM, {"code": code, "next": next_url}).text


def test_an_admin_without_mfa_lands_on_the_page_they_opened(settings, signed_in):
    settings.MFA_ADMINS_MUST_ENROL = True
    laptop = freshly_signed_in(UserFactory(admin=True), signed_in)
    led = laptop.get(reverse("mfa:lockouts"), follow=True)
    assert led.context["next"] == reverse("mfa:lockouts")
    _, code = begin(laptop, next_url=led.context["next"])
    laptop.post(CONFIRM, {"code": code, "next": led.context["next"]})
    assert laptop.get(reverse("mfa:lockouts")).status_code == 200
