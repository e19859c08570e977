"""What an approver is shown beside a request, and the digest that binds a decision to it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Count, Exists, OuterRef, Q

from accessflows.flows.policies import NAMED_USERS
from accessflows.models import AccessFlow, EscalationTier
from requests_app.approvals.selectors import Rights
from requests_app.models import AccessRequest, Status

if TYPE_CHECKING:
    from apono_portal.users.models import User

HISTORY_PERIOD = timedelta(days=30)
MAX_NAMES = 5
MAX_APPROVERS_READ = 100  # a group may have a great many members
MAX_HISTORY_ROWS = 5
MAX_REQUESTS_COUNTED = 1000


@dataclass(frozen=True)
class ApproverReason:
    """Why a request is in this approver's queue: their ``groups``, the ``rule`` and the ``others``."""

    groups: str
    rule: str
    others: str


@dataclass(frozen=True)
class RequesterHistory:
    """The requester's other requests: counts of the last 30 days, and the latest ones the approver may see."""

    total: int
    rejected: int
    same_flow: int
    latest: list[AccessRequest]


def approver_reason(request: AccessRequest, user: "User") -> ApproverReason | None:
    """Return why this user may decide, and who else may. None if the flow was deleted."""
    flow = request.flow
    if flow is None:
        return None
    groups = _approver_groups(request, user)
    named = list(flow.approver_users.filter(is_active=True).values_list("pk", "name"))
    own = [name for _, name, is_member in groups if is_member]
    own += [NAMED_USERS] if any(pk == user.pk for pk, _ in named) else []
    users = get_user_model()._default_manager.filter(is_active=True)
    in_groups = users.filter(groups__in=[pk for pk, _, _ in groups]).order_by()
    members = list(in_groups.values_list("pk", "name")[:MAX_APPROVERS_READ])
    excluded = {user.pk} if flow.allow_self_approval else {user.pk, request.requester_id}
    others = sorted(name for pk, name in {*named, *members} if pk not in excluded)
    has_more = len(members) == MAX_APPROVERS_READ
    return ApproverReason(
        ", ".join(own), approval_rule(request), _name_list(others, has_more=has_more)
    )


def _approver_groups(request: AccessRequest, user: "User") -> list[tuple[int, str, bool]]:
    """Return id and name of each group that may decide now, and whether the user is a member."""
    first = AccessFlow.approver_groups.through.objects.filter(accessflow=request.flow_id)
    escalated = EscalationTier.objects.filter(
        flow=request.flow_id, position__lte=request.escalation_tier
    )
    groups = Group.objects.filter(
        Q(pk__in=first.values("group")) | Q(pk__in=escalated.order_by().values("group"))
    )
    membership = user.groups.through.objects.filter(user=user.pk, group=OuterRef("pk"))
    return list(groups.order_by("name").values_list("pk", "name", Exists(membership)))


def approval_rule(request: AccessRequest) -> str:
    """Say how many approvals a request needs."""
    needed = request.approvals_required
    if request.approval == AccessFlow.Approval.ALL_OF:
        return "one from each group" if needed == 1 else f"{needed} from each group"
    return "one approval is enough" if needed == 1 else f"{needed} approvals from one group"


def requester_history(request: AccessRequest, viewer: "User", now: datetime) -> RequesterHistory:
    """Count the requester's other requests, and return the latest that the viewer may see."""
    others = AccessRequest.objects.filter(requester=request.requester_id or 0).exclude(
        pk=request.pk
    )
    recent = Q(created_at__gt=now - HISTORY_PERIOD)
    counts = others[:MAX_REQUESTS_COUNTED].aggregate(
        total=Count("pk", filter=recent),
        rejected=Count("pk", filter=recent & Q(status=Status.REJECTED)),
        same_flow=Count("pk", filter=recent & Q(flow=request.flow_id)),
    )
    return RequesterHistory(**counts, latest=list(others.visible_to(viewer)[:MAX_HISTORY_ROWS]))


def review_digest(request: AccessRequest, rights: Rights) -> str:
    """Return the hash of all that an approver sees. An approval is bound to it."""
    reviewed = {
        "request": request.pk,
        "flow": request.flow_fingerprint,
        "duration_s": request.duration.total_seconds(),
        "justification": request.justification,
        "ticket": request.ticket,
        "rights": [[str(target), sentences] for target, sentences in rights],
        "verification": request.verification_id,
    }
    canonical = json.dumps(reviewed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _name_list(names: list[str], *, has_more: bool) -> str:
    more = len(names) - MAX_NAMES
    if more <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:MAX_NAMES])} and {'many' if has_more else more} more"
