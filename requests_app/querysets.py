"""Named filters over access requests and grants."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from accessflows.models import AccessFlow, EscalationTier

if TYPE_CHECKING:
    from apono_portal.users.models import User
    from requests_app.models import (  # noqa: F401
        AccessRequest,
        BreakGlassReview,
        DayFigures,
        Drift,
        Grant,
        WorkerHeartbeat,
    )

WORKER_SILENT_AFTER = timedelta(seconds=45)


def _decidable_by(user: "User | int") -> Q:
    """Match requests whose flow names the user as approver, or that were escalated to their group.

    All such flows come first, as one list, so that only requests through them are read: without it
    PostgreSQL reads every pending request of the portal (73 ms instead of 0.1 ms at 20,000).
    """
    user_id = user if isinstance(user, int) else user.pk
    flows = AccessFlow.objects.ids_decidable_by(user_id)
    tiers = EscalationTier.objects.filter(group__user=user_id).order_by()
    escalated = tiers.filter(flow=OuterRef("flow"), position__lte=OuterRef("escalation_tier"))
    either = flows.union(tiers.values("flow"), all=True)
    is_escalated = Q(Exists(escalated), escalation_tier__gt=0)
    return Q(flow__in=either) & (Q(flow__in=flows) | is_escalated)


class AccessRequestQuerySet(models.QuerySet["AccessRequest"]):
    def of(self, user: "User | int") -> "AccessRequestQuerySet":
        return self.filter(requester=user)

    def visible_to(self, user: "User") -> "AccessRequestQuerySet":
        """Everything for admins and auditors; for others what `visible_to_member` returns."""
        return self.all() if user.can_read_everything else self.visible_to_member(user)

    def visible_to_member(self, user: "User | int") -> "AccessRequestQuerySet":
        """The user's own requests and those they may decide on."""
        return self.filter(Q(requester=user) | _decidable_by(user))

    def pending_mfa(self) -> "AccessRequestQuerySet":
        return self.filter(status="pending_mfa")

    def waiting_for_code_of(self, user: "User | int") -> "AccessRequestQuerySet":
        """Requests that a correct code of this user would release now."""
        return self.of(user).pending_mfa().filter(pending_until__gt=timezone.now())

    def awaiting_decision_by(self, user: "User | int") -> "AccessRequestQuerySet":
        """Requests pending approval on which the user may still decide."""
        pending = self.filter(status="pending_approval").decidable_by(user)
        return pending.exclude(decisions__approver=user)

    def decidable_by(self, user: "User | int") -> "AccessRequestQuerySet":
        """Requests of any status the user is an approver of; own ones if the flow allows it."""
        own = Q(requester=user) & Q(flow__allow_self_approval=False)
        return self.filter(_decidable_by(user)).exclude(own)

    def to_escalate(self, now: datetime) -> "AccessRequestQuerySet":
        """Requests pending approval whose next escalation tier is due."""
        return self.filter(status="pending_approval", escalates_at__lte=now, pending_until__gt=now)

    def overdue_pending(self, now: datetime) -> "AccessRequestQuerySet":
        """Pending requests past their deadline."""
        return self.filter(status__in=["pending_mfa", "pending_approval"], pending_until__lte=now)

    def to_review(self) -> "AccessRequestQuerySet":
        """Break-glass access that nobody has reviewed yet, active or over."""
        return self.filter(break_glass=True, reviewed_at__isnull=True, starts_at__isnull=False)

    def to_remind(self, now: datetime) -> "AccessRequestQuerySet":
        """Active access whose expiry reminder is due."""
        return self.filter(status="active", remind_at__lte=now, ends_at__gt=now)


class GrantQuerySet(models.QuerySet["Grant"]):
    def live(self) -> "GrantQuerySet":
        """Grants not proven removed from their target."""
        return self.exclude(state="removed")

    def uncontained(self) -> "GrantQuerySet":
        """Grants that somebody can use, or will be able to, and those not contained yet."""
        return self.live().filter(state__in=["activating", "active", "revoking"])

    def unleased(self) -> "GrantQuerySet":
        """Grants no worker holds, by the database's clock."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))

    def to_work_on(self, now: datetime) -> "GrantQuerySet":
        """Unleased grants whose next step on the target is due."""
        return self.unleased().filter(
            state__in=["activating", "revoking", "contained"], next_attempt_at__lte=now
        )

    def overdue(self, since: datetime) -> "GrantQuerySet":
        """Grants whose deadline passed before ``since`` and that are not contained."""
        return self.live().filter(  # the condition of the index grant_not_removed
            Q(state="active") | (Q(state="revoking", contained_at=None) & ~Q(login_mark="")),
            deadline__lt=since,
        )

    def to_end(self) -> "GrantQuerySet":
        """Grants that are active, or are being revoked already."""
        return self.filter(state__in=["active", "revoking"])


class BreakGlassReviewQuerySet(models.QuerySet["BreakGlassReview"]):
    def pausing(self) -> "BreakGlassReviewQuerySet":
        """Reviews that pause the break-glass access of their requester."""
        return self.filter(verdict="not_justified", lifted_at=None)


class DriftQuerySet(models.QuerySet["Drift"]):
    def open(self) -> "DriftQuerySet":
        return self.filter(resolved_at=None)


class WorkerHeartbeatQuerySet(models.QuerySet["WorkerHeartbeat"]):
    def running(self, now: datetime) -> "WorkerHeartbeatQuerySet":
        """Workers whose loop did a round within `WORKER_SILENT_AFTER`."""
        return self.filter(seen_at__gt=now - WORKER_SILENT_AFTER)


class DayFiguresQuerySet(models.QuerySet["DayFigures"]):
    def in_zone(self, zone: str) -> "DayFiguresQuerySet":
        return self.filter(zone=zone)
