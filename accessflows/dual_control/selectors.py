"""Pending changes as pages show them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from accessflows.models import ProposedChange
from mfa.models import Authenticator, Passkey

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_ROWS = 50
RECENT = 10


@dataclass(frozen=True)
class PendingChange:
    """A pending change with what the page says about it. ``content`` is empty if it cannot be trusted."""

    row: ProposedChange
    content: dict[str, Any]
    is_own: bool

    @property
    def target_url(self) -> str:
        action = self.row.protected_action
        is_shown = action is not None and self.row.target_id
        return reverse(action.page, args=[self.row.target_id]) if action and is_shown else ""


def pending_changes() -> QuerySet[ProposedChange]:
    """Return the changes that can still be confirmed, oldest first."""
    pending = ProposedChange.objects.filter(state=ProposedChange.State.PENDING)
    return pending.filter(expires_at__gt=timezone.now()).order_by("pk")


def pending_rows(user: "User") -> list[PendingChange]:
    return [
        PendingChange(
            row,
            row.content if row.is_authentic and row.is_readable else {},
            is_own=row.proposer_id == user.pk,
        )
        for row in pending_changes()[:MAX_ROWS]
    ]


def decided_changes() -> QuerySet[ProposedChange]:
    """Return the last changes that were decided, newest first."""
    decided = ProposedChange.objects.exclude(state=ProposedChange.State.PENDING)
    return decided.order_by("-decided_at", "-pk")[:RECENT]


def changes_of(target_type: str, target_id: object) -> QuerySet[ProposedChange]:
    """Return the pending changes of one flow, integration or user."""
    return pending_changes().filter(target_type=target_type, target_id=str(target_id))


def count_pending(user: "User") -> int:
    """Count the pending changes; only admins and auditors see it, and only with dual control."""
    if not (settings.DUAL_CONTROL and user.can_read_everything):
        return 0
    return pending_changes().count()


def has_second_admin() -> bool:
    """Return whether two active admins have MFA, so that one can confirm what the other proposes."""
    methods = Q(Exists(Authenticator.objects.confirmed().filter(user=OuterRef("pk")))) | Q(
        Exists(Passkey.objects.filter(user=OuterRef("pk")))
    )
    admins = get_user_model()._default_manager.filter(methods, role="admin", is_active=True)
    return bool(admins.aggregate(number=Count("pk"))["number"] > 1)
