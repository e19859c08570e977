"""Who gets a notification by email: whom it concerns, and never for their own actions."""

from typing import Any

from accessflows.flows.policies import approver_sets, escalation_sets
from accessflows.models import AccessFlow
from apono_portal.notifications.kinds import ADMIN_KINDS, Kind
from apono_portal.notifications.models import EmailOptOut
from apono_portal.notifications.notification import Notification
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Delivery, Event
from requests_app.models import AccessRequest, BreakGlassReview, Status

DECISION_KINDS = (Kind.DECISION_NEEDED, Kind.ESCALATED)

# The ids of users, and the kind under which each is notified.
Audience = dict[int, Kind]


def audience_of(notification: Notification) -> Audience:
    """Return who gets an email about an event.

    Security emails are not among them: mfa and users send them in the transaction of the event. All
    admins get an alarm, also the one whose action was refused.
    """
    kind = notification.kind
    audience: Audience
    admins = User.objects.account_admins().values_list("pk", flat=True)
    if kind == Kind.TAMPERING:
        return dict.fromkeys(admins, kind)
    if kind == Kind.BREAK_GLASS:
        return _concerned_by_break_glass(notification, set(admins))
    if kind == Kind.CHANGE:
        return dict.fromkeys(set(admins) - {notification.event.actor_id}, kind)
    if kind in ADMIN_KINDS:
        audience = dict.fromkeys(admins, kind)
    elif kind == Kind.SECURITY:
        audience = {}
    elif kind == Kind.ESCALATED:
        audience = dict.fromkeys(_approvers_added_by(notification), kind)
    elif kind == Kind.DECISION_NEEDED:
        audience = dict.fromkeys(pending_approvers(notification.subject_request), kind)
    else:
        audience = dict.fromkeys(_approvers_relieved_by(notification), Kind.HANDLED)
        audience |= dict.fromkeys(_requester_of(notification), kind)
    audience.pop(notification.event.actor_id or 0, None)
    return _without_opt_outs(audience)


def _concerned_by_break_glass(notification: Notification, admins: set[int]) -> Audience:
    """Return all admins when access starts, and also the requester once it is reviewed."""
    event, concerned = notification.event, admins
    if event.event == EventName.REQUEST_REVIEW:
        if event.metadata.get("verdict") == BreakGlassReview.Verdict.JUSTIFIED:
            concerned = set()
        requester_id = notification.subject_request.requester_id
        concerned = (concerned | ({requester_id} if requester_id else set())) - {event.actor_id}
    return dict.fromkeys(concerned, notification.kind)


def pending_approvers(request: AccessRequest) -> set[int]:
    """Return who may decide on a request and has not."""
    if request.flow is None:
        return set()
    further = escalation_sets(request.flow, request.escalation_tier)
    members = {pk for group in [*approver_sets(request.flow), *further] for pk in group.members}
    if not request.flow.allow_self_approval:
        members.discard(request.requester_id or 0)
    return members - {decision.approver_id for decision in request.decisions.all()}


def _approvers_added_by(escalation: Notification) -> set[int]:
    """Return who may decide since this escalation and could not before."""
    request, tier = escalation.subject_request, int(escalation.metadata.get("tier") or 0)
    if request.flow is None:
        return set()
    earlier = [*approver_sets(request.flow), *escalation_sets(request.flow, tier - 1)]
    before = {pk for group in earlier for pk in group.members}
    after = {pk for group in escalation_sets(request.flow, tier) for pk in group.members}
    return (after - before) & pending_approvers(request)


def decision_event_ids(request: AccessRequest) -> list[int]:
    """Return the events that notified approvers to decide on a request."""
    names = (
        EventName.REQUEST_SUBMIT,
        EventName.REQUEST_RELEASE,
        EventName.REQUEST_REOPEN,
        EventName.REQUEST_ESCALATE,
    )
    events = Event.objects.about_request(request.pk).filter(event__in=names)
    return list(events.values_list("pk", flat=True))


def ends_approval(notification: Notification) -> bool:
    """Return whether approvers need not decide any more."""
    was_pending = notification.metadata.get("from") == Status.PENDING_APPROVAL
    return was_pending and notification.kind in {Kind.DECIDED, Kind.CLOSED}


def _requester_of(notification: Notification) -> list[int]:
    request = notification.subject_request
    if request.requester_id is None or _is_redundant(notification, request):
        return []
    return [request.requester_id]


def _is_redundant(notification: Notification, request: AccessRequest) -> bool:
    """Return whether the requester knows already or learns it from another email.

    Automatic access becomes active while the requester watches. Approved access becomes active within
    seconds, so the approval has no email of its own unless the requester opted out of that one.
    """
    if notification.kind == Kind.ACTIVE:
        return request.approval == AccessFlow.Approval.AUTOMATIC
    if notification.kind == Kind.ENDED:
        return request.revoked_by_label == request.requester_label
    if notification.event.event == EventName.REQUEST_APPROVE:
        opt_outs = EmailOptOut.objects.filter(user=request.requester_id, kind=Kind.ACTIVE)
        return not opt_outs.exists()
    return False


def _approvers_relieved_by(notification: Notification) -> set[int]:
    """Return who got an email to decide and need not any more.

    A lapse relieves nobody: that email named the deadline.
    """
    if not ends_approval(notification) or notification.event.event == EventName.REQUEST_LAPSE:
        return set()
    request = notification.subject_request
    sent = Delivery.objects.filter(
        event_id__in=decision_event_ids(request),
        kind__in=DECISION_KINDS,
        state=Delivery.State.SENT,
    )
    notified = User.objects.filter(email__in=sent.values("recipient")).values_list("pk", flat=True)
    decided = {decision.approver_id for decision in request.decisions.all()}
    return set(notified) - decided - {request.requester_id or 0}


def _without_opt_outs(audience: Audience) -> Audience:
    opt_outs: Any = EmailOptOut.objects.filter(user__in=audience).values_list("user", "kind")
    refused = set(opt_outs)
    return {pk: kind for pk, kind in audience.items() if (pk, kind.value) not in refused}
