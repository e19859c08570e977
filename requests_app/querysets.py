"""Named filters over access requests and grants."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from accessflows.models import AccessFlow, EscalationTier

if TYPE_CHECKING:
    from requests_app.models import AccessRequest, DayFigures, Drift, Grant  # noqa: F401


def _decidable_by(user: Any) -> Q:
    """The flow names the person as approver, or the request was escalated to a group of theirs.

    ``user`` may be a primary key, too. That the flow is one of those few stands before all else, so that
    only requests through them are looked at.
    """
    flows = AccessFlow.objects.numbers_decidable_by(user)
    memberships: Any = get_user_model().groups.through
    groups = memberships._default_manager.filter(user=getattr(user, "pk", user)).values("group")
    tiers = EscalationTier.objects.filter(group__in=groups).order_by()
    asked_later = tiers.filter(flow=OuterRef("flow"), position__lte=OuterRef("escalation_tier"))
    with_a_say = flows.union(tiers.values("flow"))
    return Q(flow__in=with_a_say) & (Q(flow__in=flows) | Q(Exists(asked_later)))


class AccessRequestQuerySet(models.QuerySet["AccessRequest"]):
    def of(self, user: Any) -> "AccessRequestQuerySet":
        return self.filter(requester=user)

    def visible_to(self, user: Any) -> "AccessRequestQuerySet":
        """One's own, those one may decide on, and everything for admins and auditors."""
        if user.can_read_everything:
            return self.all()
        return self.visible_to_member(user)

    def visible_to_member(self, user: Any) -> "AccessRequestQuerySet":
        """One's own, and those one may decide on. ``user`` may be a primary key, too."""
        return self.filter(Q(requester=user) | _decidable_by(user))

    def pending_mfa(self) -> "AccessRequestQuerySet":
        return self.filter(status="pending_mfa")

    def awaiting_decision_by(self, user: Any) -> "AccessRequestQuerySet":
        """Undecided requests through flows that name the person as approver and allow it."""
        waiting = self.filter(status="pending_approval").decidable_by(user)
        return waiting.exclude(decisions__approver=user)

    def decidable_by(self, user: Any) -> "AccessRequestQuerySet":
        """Requests on which the person has a say, of whatever status; own ones if the flow says so."""
        own = Q(requester=user) & Q(flow__allow_self_approval=False)
        return self.filter(_decidable_by(user)).exclude(own)

    def to_escalate(self, now: datetime) -> "AccessRequestQuerySet":
        """Undecided requests for which a further group is to be asked, in time to decide."""
        return self.filter(status="pending_approval", escalates_at__lte=now, pending_until__gt=now)

    def overdue_pending(self, now: datetime) -> "AccessRequestQuerySet":
        return self.filter(status__in=["pending_mfa", "pending_approval"], pending_until__lte=now)

    def to_remind(self, now: datetime) -> "AccessRequestQuerySet":
        """Open access whose owner is to be told that it ends soon, and was not yet."""
        return self.filter(status="active", remind_at__lte=now, ends_at__gt=now)


class GrantQuerySet(models.QuerySet["Grant"]):
    def live(self) -> "GrantQuerySet":
        """Grants that may still be usable on their target, or not yet proven gone."""
        return self.exclude(state="ended")

    def unleased(self) -> "GrantQuerySet":
        """Grants no worker holds, by the database's clock."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))

    def to_work_on(self, now: datetime) -> "GrantQuerySet":
        """Grants in a state that wants a step on the target, whose turn has come."""
        return self.unleased().filter(
            state__in=["activating", "ending", "contained"], next_attempt_at__lte=now
        )

    def due(self, now: datetime) -> "GrantQuerySet":
        return self.filter(state="active", deadline__lte=now)

    def past_their_end(self, moment: datetime) -> "GrantQuerySet":
        """Made, due to have ended by then, and not contained. Asked as ``grant_not_ended`` answers."""
        return self.live().filter(
            Q(state="active") | Q(state="ending", contained_at=None, login_oid__isnull=False),
            deadline__lt=moment,
        )

    def ending_before(self, moment: datetime) -> "GrantQuerySet":
        """Logins that have reached their end by then, or are ending already."""
        return self.filter(Q(state="active", deadline__lte=moment) | Q(state="ending"))


class DriftQuerySet(models.QuerySet["Drift"]):
    def open(self) -> "DriftQuerySet":
        """What still differs."""
        return self.filter(over_at=None)


class DayFiguresQuerySet(models.QuerySet["DayFigures"]):
    def in_zone(self, zone: str) -> "DayFiguresQuerySet":
        return self.filter(zone=zone)
