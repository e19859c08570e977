"""Whom a piece of news concerns by mail. Nobody is told of what they have done themselves."""

from typing import Any

from accessflows.flows.policies import approver_sets, escalation_sets
from apono_portal.notifications.kinds import Kind
from apono_portal.notifications.models import EmailOptOut
from apono_portal.notifications.notification import Notification, waited_for_people
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Delivery, Event
from requests_app.models import AccessRequest, Status

ASKING = (Kind.DECISION_NEEDED, Kind.ESCALATED)
FOR_ADMINS = (Kind.STUCK, Kind.DRIFT, Kind.TARGET)


def people_told_of(news: Notification) -> dict[int, Kind]:
    """Return the people to mail, by primary key, and as which kind of notice.

    Security is told by those floors themselves, in the transaction of what happened.
    """
    if news.kind in FOR_ADMINS:
        told = dict.fromkeys(_admins(), news.kind)
    elif news.kind == Kind.SECURITY:
        told = {}
    elif news.kind == Kind.ESCALATED:
        told = dict.fromkeys(_asked_later(news), news.kind)
    elif news.kind in ASKING:
        told = dict.fromkeys(approvers_to_ask(news.subject_request), news.kind)
    else:
        told = _of_requester(news) | dict.fromkeys(_spared(news), Kind.HANDLED)
    told.pop(news.event.actor_id or 0, None)
    return _who_want(told)


def approvers_to_ask(request: AccessRequest) -> set[int]:
    """Return who may decide on a request and has not yet."""
    if request.flow is None:
        return set()
    further = escalation_sets(request.flow, request.escalation_tier)
    asked = {pk for each in [*approver_sets(request.flow), *further] for pk in each.members}
    if not request.flow.allow_self_approval:
        asked.discard(request.requester_id or 0)
    return asked - {decision.approver_id for decision in request.decisions.all()}


def _asked_later(news: Notification) -> set[int]:
    """Return who is asked by this step of escalation and was not before."""
    request, tier = news.subject_request, int(str(news.told.get("tier") or 0))
    if request.flow is None:
        return set()
    before = [*approver_sets(request.flow), *escalation_sets(request.flow, tier - 1)]
    asked = {pk for each in escalation_sets(request.flow, tier) for pk in each.members}
    known = {pk for each in before for pk in each.members}
    return (asked - known) & approvers_to_ask(request)


def asked_by_mail(request: AccessRequest) -> list[int]:
    """Return the events by which approvers were asked to decide on a request."""
    draft = (
        EventName.REQUEST_SUBMIT,
        EventName.REQUEST_RELEASE,
        EventName.REQUEST_REOPEN,
        EventName.REQUEST_ESCALATE,
    )
    found = Event.objects.about_request(request.pk).filter(event__in=draft)
    return list(found.values_list("pk", flat=True))


def is_settled_by(news: Notification) -> bool:
    """Is this the end of the approvers' turn?"""
    return news.told.get("from") == Status.PENDING_APPROVAL and news.kind in {
        Kind.DECIDED,
        Kind.CLOSED,
    }


def _of_requester(news: Notification) -> dict[int, Kind]:
    request = news.subject_request
    if request.requester_id is None or _is_seen_anyway(news, request):
        return {}
    return {request.requester_id: news.kind}


def _is_seen_anyway(news: Notification, request: AccessRequest) -> bool:
    """What opens without approval opens while its owner looks on; one's own end is no news.

    An approval is followed within seconds by the mail that access is open, so it has none of its
    own unless that mail is not wanted.
    """
    if news.kind == Kind.ACTIVE:
        return not waited_for_people(request)
    if news.kind == Kind.ENDED:
        return request.revoked_by_label == request.requester_label
    if news.event.event == EventName.REQUEST_APPROVE:
        unwanted = EmailOptOut.objects.filter(user=request.requester_id, kind=Kind.ACTIVE)
        return not unwanted.exists()
    return False


def _spared(news: Notification) -> set[int]:
    """Return who was asked to decide by a mail that has left, and need not any more.

    When nobody decided in time, that mail has said until when.
    """
    if not is_settled_by(news) or news.event.event == EventName.REQUEST_LAPSE:
        return set()
    request = news.subject_request
    sent = Delivery.objects.filter(
        event_id__in=asked_by_mail(request), kind__in=ASKING, state=Delivery.State.SENT
    )
    asked = User.objects.filter(email__in=sent.values("recipient")).values_list("pk", flat=True)
    decided = {decision.approver_id for decision in request.decisions.all()}
    return set(asked) - decided - {request.requester_id}


def _admins() -> list[int]:
    return list(User.objects.account_admins().values_list("pk", flat=True))


def _who_want(told: dict[int, Kind]) -> dict[int, Kind]:
    rows: Any = EmailOptOut.objects.filter(user__in=told).values_list("user", "kind")
    unwanted = set(rows)
    return {pk: kind for pk, kind in told.items() if (pk, kind.value) not in unwanted}
