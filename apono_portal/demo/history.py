"""Two months of believable history for a new demo: what a team of ten requested, and how it ended.

Rows are those that the services write, with the same events, in the order of their times. They go into
the hash chain like any others. Nothing is active, and no notification is sent about the past.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from accessflows.models import AccessFlow, Integration
from apono_portal.core.formatting.login_names import login_of
from apono_portal.notifications.models import ReadPosition
from apono_portal.users.models import User
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.models import ChainEntry, Event
from audit.services import ANONYMOUS_LABEL, SYSTEM_LABEL
from mfa.models import Outcome, Verification
from requests_app.lifecycle import evidence_fields
from requests_app.models import (
    AccessRequest,
    BreakGlassReview,
    Decision,
    Grant,
    GrantState,
    RequestedTarget,
    Status,
)

DAYS = 60
SEED = 20
MINUTE = timedelta(minutes=1)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
REASONS = (
    "Backfill carrier_id on 312 orders from the last import.",
    "Find out why shipment 8814 was billed twice.",
    "Check the new index before tonight's release.",
    "Correct 41 duplicate invoices from the November run.",
    "Answer a customer about a refund that never arrived.",
    "Compare the order counts with the warehouse report.",
    "Look into slow queries on the customers table.",
    "Release the lock that a failed migration left.",
)


@dataclass(frozen=True)
class PastFlow:
    """The part of a demo flow that its history shows."""

    name: str
    target: tuple[str, str]  # resource and permission
    max_duration: timedelta
    requesters: tuple[str, ...]  # mailboxes
    require_mfa: bool = True
    approver: str = ""  # mailbox of who approves
    break_glass: bool = False


@dataclass
class PastRequest:
    """One request and what became of it, as rows and events."""

    flow: PastFlow
    request: AccessRequest
    user: User
    at: datetime
    verification: Verification | None = None
    decision: Decision | None = None
    grant: Grant | None = None
    events: list[Event] = field(default_factory=list)

    def add_event(
        self, event: EventName, at: datetime, actor: User | None = None, **fields: Any
    ) -> None:
        """Add an event about the request, or about the ``target`` among the fields."""
        target = fields.pop("target", self.request)
        marks = {"break_glass": True} if self.flow.break_glass else {}
        about = {"request_id": self.request.pk, "request_label": self.request.reference}
        self.events.append(
            event_of(event, at, actor, target, **about, metadata={**fields, **marks})
        )


def event_of(
    event: EventName, at: datetime, actor: User | None, target: models.Model | None, **fields: Any
) -> Event:
    """Return an unsaved event as `audit.services.record` writes it; people work from one network."""
    client = (
        {"address": f"198.51.100.{actor.pk % 200 + 10}", "user_agent": BROWSER} if actor else {}
    )
    return Event(
        event=event,
        at=at,
        actor_id=actor.pk if actor else None,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_label=str(target) if target else "",
        **{"actor_label": str(actor) if actor else SYSTEM_LABEL, **client, **fields},
    )


def write_history(*, flows: list[PastFlow], integration: str, before: list[Event]) -> int:
    """Write the history after the events ``before`` it, all into the chain. Returns the number of events."""
    chance = random.Random(SEED)
    now = timezone.now()
    users = {user.email.partition("@")[0]: user for user in User.objects.all()}
    with transaction.atomic():
        drawn = [
            _past_request(chance, chance.choice(flows), users, at, integration)
            for at in _working_hours(chance, now)
        ]
        past_requests = [past for past in drawn if past is not None]
        _save(past_requests, integration)
        events = [event for past in past_requests for event in _events_of(past, users)]
        events += _sign_ins(chance, past_requests)
        events = before + sorted(events, key=lambda event: event.at)
        Event.objects.bulk_create(events, batch_size=500)
    write_checkpoints(now)
    last = ChainEntry.objects.order_by("-position").first()
    ReadPosition.objects.update_or_create(
        pk=ReadPosition.ONLY, defaults={"position": last.position if last else 0}
    )
    return len(events)


def link_history(*, integration: Integration) -> None:
    """Connect the history with the flows and the integration that were created after it."""
    for flow in AccessFlow.objects.all():
        AccessRequest.objects.filter(flow=None, flow_name=flow.name).update(flow=flow)
    names = {"integration": None, "integration_name": integration.name}
    RequestedTarget.objects.filter(**names).update(integration=integration)
    for grant in Grant.objects.filter(state=GrantState.REMOVED, **names):
        grant.integration = integration
        grant.sign().save(update_fields=["integration", "mac"])


def _working_hours(chance: random.Random, now: datetime) -> Iterator[datetime]:
    for day in range(DAYS, 1, -1):
        at = (now - timedelta(days=day)).replace(hour=8, minute=0, second=0)
        for _ in range(chance.randint(2, 5) if at.weekday() < 5 else chance.randint(0, 1)):
            yield at + timedelta(seconds=chance.randint(0, 9 * 3600))


def _past_request(
    chance: random.Random, flow: PastFlow, users: dict[str, User], at: datetime, integration: str
) -> PastRequest | None:
    if flow.break_glass and chance.random() > 0.15:
        return None  # emergencies are rare
    user = users[chance.choice(flow.requesters)]
    outcome = chance.choices(
        [Status.EXPIRED, Status.REVOKED, Status.REJECTED, Status.LAPSED], [60, 18, 14, 8]
    )[0]
    if not flow.approver and outcome in {Status.REJECTED, Status.LAPSED}:
        outcome = Status.EXPIRED
    duration = min(flow.max_duration, chance.choice([30, 60, 120, 240]) * MINUTE)
    verified = Verification(
        user=user,
        at=at + 40 * timedelta(seconds=1),
        outcome=Outcome.OK,
        epoch=0,
        device_name="Authenticator app",
        address=f"198.51.100.{user.pk % 200 + 10}",
        user_agent=BROWSER,
    )
    past = PastRequest(flow, _request(chance, flow, user, at, duration, outcome), user, at)
    past.verification = verified.sign() if flow.require_mfa else None
    _decide(chance, past, users)
    _grant(chance, past, integration)
    return past


def _request(
    chance: random.Random,
    flow: PastFlow,
    user: User,
    at: datetime,
    duration: timedelta,
    status: Status,
) -> AccessRequest:
    return AccessRequest(
        requester=user,
        requester_label=str(user),
        flow_name=flow.name,
        flow_version=1,
        flow_fingerprint="0" * 64,
        require_mfa=flow.require_mfa,
        break_glass=flow.break_glass,
        approval=AccessFlow.Approval.ANY_OF if flow.approver else AccessFlow.Approval.AUTOMATIC,
        max_duration=flow.max_duration,
        duration=duration,
        justification=chance.choice(REASONS),
        status=status,
        created_at=at,
        status_changed_at=at,
    )


def _decide(chance: random.Random, past: PastRequest, users: dict[str, User]) -> None:
    """Add the decision of an approver, unless nobody decided in time."""
    if not past.flow.approver or past.request.status == Status.LAPSED:
        return
    approver = users[past.flow.approver]
    rejects = past.request.status == Status.REJECTED
    past.decision = Decision(
        approver=approver,
        approver_label=str(approver),
        verdict=Decision.Verdict.REJECT if rejects else Decision.Verdict.APPROVE,
        reason="Use the staging copy for this." if rejects else "",
        fingerprint="0" * 64,
        at=past.at + chance.randint(3, 50) * MINUTE,
    )


def _grant(chance: random.Random, past: PastRequest, integration: str) -> None:
    """Add the grant and its end; without one the request ends with the decision, or its lack."""
    request, decision = past.request, past.decision
    if request.status in {Status.REJECTED, Status.LAPSED}:
        request.ended_at = decision.at if decision else past.at + timedelta(hours=24)
        request.status_changed_at = request.ended_at
        return
    starts = (decision.at if decision else past.at + MINUTE) + chance.randint(2, 9) * timedelta(
        seconds=1
    )
    ends = starts + request.duration
    is_revoked = request.status == Status.REVOKED
    over = starts + request.duration * chance.uniform(0.2, 0.9) if is_revoked else ends
    request.starts_at, request.ends_at, request.final_status = starts, ends, request.status
    request.ended_at = request.status_changed_at = over + 2 * timedelta(seconds=1)
    request.revoked_by_label = str(past.user) if is_revoked else ""
    resource, permission = past.flow.target
    grant = Grant(
        integration_name=integration,
        resource=resource,
        permission=permission,
        state=GrantState.REMOVED,
        deadline=ends,
        activated_at=starts,
        revealed_at=starts + MINUTE,
        contained_at=over + timedelta(seconds=chance.uniform(0.2, 2)),
        removed_at=request.ended_at,
        proof={"role_removed": True, "no_open_sessions": True, "nothing_left_behind": True},
    )
    grant.login = login_of(grant.pk)
    past.grant = grant


def _save(past_requests: list[PastRequest], integration: str) -> None:
    Verification.objects.bulk_create(p.verification for p in past_requests if p.verification)
    for past in past_requests:
        for name, value in evidence_fields(past.verification).items():
            setattr(past.request, name, value)
    AccessRequest.objects.bulk_create(past.request for past in past_requests)
    for past in past_requests:
        if past.decision:
            past.decision.request = past.request
            past.decision.sign()
        if past.grant:
            past.grant.request = past.request
            past.grant.sign()
    Decision.objects.bulk_create(p.decision for p in past_requests if p.decision)
    Grant.objects.bulk_create(p.grant for p in past_requests if p.grant)
    RequestedTarget.objects.bulk_create(
        RequestedTarget(
            request=past.request,
            integration_name=integration,
            resource=past.flow.target[0],
            permission=past.flow.target[1],
        )
        for past in past_requests
    )


def _events_of(past: PastRequest, users: dict[str, User]) -> list[Event]:
    request, verification, decision = past.request, past.verification, past.decision
    past.add_event(
        EventName.REQUEST_SUBMIT,
        past.at,
        past.user,
        flow=request.flow_name,
        flow_version=1,
        duration_s=int(request.duration.total_seconds()),
        require_mfa=request.require_mfa,
        justification=request.justification,
    )
    if verification:
        evidence = {"verification": verification.pk, "method": verification.method}
        past.events.append(
            event_of(
                EventName.MFA_VERIFY,
                verification.at,
                past.user,
                past.user,
                metadata={
                    **evidence,
                    "outcome": Outcome.OK.value,
                    "authenticator": verification.device_name,
                    "requests": [request.reference],
                },
            )
        )
        with_device = {**evidence, "with": verification.device_name}
        past.add_event(EventName.REQUEST_RELEASE, verification.at, past.user, **with_device)
    if decision:
        rejects = decision.verdict == Decision.Verdict.REJECT
        event = EventName.REQUEST_REJECT if rejects else EventName.REQUEST_APPROVE
        past.add_event(event, decision.at, decision.approver, reason=decision.reason)
    if request.status == Status.LAPSED and request.ended_at:
        past.add_event(EventName.REQUEST_LAPSE, request.ended_at, reason="Nobody decided in time.")
    if past.grant:
        _add_access_events(past, past.grant)
    if past.flow.break_glass:
        _review(past, users["admin"])
    return past.events


def _add_access_events(past: PastRequest, grant: Grant) -> None:
    request = past.request
    starts, over, removed = request.starts_at, grant.contained_at, grant.removed_at
    if starts is None or over is None or removed is None:
        return
    login = {"login": grant.login, "integration": grant.integration_name}
    begun = starts - timedelta(seconds=1)
    past.add_event(EventName.REQUEST_GRANT, begun, deadline=grant.deadline.isoformat())
    if past.flow.break_glass:
        past.add_event(EventName.REQUEST_BREAK_GLASS, begun, reason=request.justification)
    past.add_event(EventName.GRANT_ACTIVATE, starts, None, target=grant, **login)
    past.add_event(EventName.REQUEST_ACTIVATE, starts, until=grant.deadline.isoformat())
    past.add_event(EventName.GRANT_REVEAL, starts + MINUTE, past.user, target=grant, **login)
    is_revoked = request.status == Status.REVOKED
    revoker = past.user if is_revoked else None
    past.add_event(EventName.REQUEST_BEGIN_REVOCATION, over - timedelta(milliseconds=100), revoker)
    past.add_event(
        EventName.GRANT_CONTAIN, over, None, target=grant, sessions_terminated=0, **login
    )
    past.add_event(EventName.GRANT_PROVE, removed, target=grant, proof=grant.proof)
    past.add_event(EventName.REQUEST_REVOKE if is_revoked else EventName.REQUEST_EXPIRE, removed)


def _review(past: PastRequest, admin: User) -> None:
    """Let an admin review break-glass access in the evening, unless it was used just now."""
    request = past.request
    if request.ended_at is None or request.ended_at > timezone.now() - timedelta(days=3):
        return
    review = BreakGlassReview.objects.create(
        request=request,
        reviewer=admin,
        reviewer_label=str(admin),
        verdict=BreakGlassReview.Verdict.JUSTIFIED,
        note="The incident is on record, and the lock was released.",
        at=request.ended_at + timedelta(hours=4),
    )
    AccessRequest.objects.filter(pk=request.pk).update(reviewed_at=review.at)
    verdict = {"verdict": review.verdict, "reason": review.note}
    past.add_event(EventName.REQUEST_REVIEW, review.at, admin, **verdict)


def _sign_ins(chance: random.Random, past_requests: list[PastRequest]) -> Iterator[Event]:
    """Yield a sign-in before each request, and now and then a wrong password or code."""
    for past in past_requests:
        at = past.at - chance.randint(1, 9) * MINUTE
        yield event_of(EventName.SESSION_SIGN_IN, at, past.user, past.user)
        if chance.random() < 0.08:
            anonymous = {"actor_label": ANONYMOUS_LABEL, "address": "203.0.113.7"}
            yield event_of(
                EventName.SESSION_SIGN_IN_FAIL, at - MINUTE, None, past.user, **anonymous
            )
        if chance.random() < 0.06:
            refused = {"outcome": Outcome.BAD.value, "method": "code"}
            wrong = past.at + timedelta(seconds=20)
            yield event_of(EventName.MFA_REFUSE, wrong, past.user, past.user, metadata=refused)
