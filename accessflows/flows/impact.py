"""What saving a form would do to people, before it is saved. Nothing here writes."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from accessflows.flows.diff import Difference, difference
from accessflows.flows.fingerprint import fingerprint_of, terms_of, terms_of_draft
from accessflows.flows.policies import NAMED_USERS
from accessflows.flows.selectors import Impact, impact_on, active_users_among, requesters_of
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow

SHOWN = 10


@dataclass(frozen=True)
class Names:
    """The first of some people, and how many there are."""

    first: tuple[str, ...]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.first)


@dataclass(frozen=True)
class DraftImpact:
    """What saving these terms changes.

    ``reaches`` is who can ask then; ``gain`` and ``lose`` are people, ``differences`` the terms.
    ``fingerprint`` is the one the flow will have. ``nobody`` are approver groups without a member.
    """

    reaches: Impact
    gain: Names
    lose: Names
    differences: tuple[Difference, ...]
    fingerprint: str
    turns_mfa_on: bool
    nobody: tuple[str, ...]


def impact_of_draft(draft: FlowInput, flow: AccessFlow | None) -> DraftImpact:
    """Compare a draft with the flow as it is, or with nothing if it is a new one."""
    after = active_users_among(draft.requester_users, draft.requester_groups)
    before = requesters_of(flow) if flow else after.none()
    terms, old = terms_of_draft(draft), terms_of(flow) if flow else None
    return DraftImpact(
        reaches=impact_on(after),
        gain=_names(after.exclude(pk__in=before.values("pk"))),
        lose=_names(before.exclude(pk__in=after.values("pk"))),
        differences=tuple(difference(old, terms)) if old else (),
        fingerprint=fingerprint_of(terms),
        turns_mfa_on=draft.require_mfa and not (flow and flow.require_mfa),
        nobody=_nobody(draft),
    )


def _names(people: QuerySet[Any]) -> Names:
    first = people.order_by("name", "email")[:SHOWN]
    return Names(tuple(str(each.name) for each in first), people.count())


def _nobody(draft: FlowInput) -> tuple[str, ...]:
    if draft.approval == AccessFlow.Approval.AUTOMATIC:
        return ()
    empty = Group.objects.filter(pk__in=draft.approver_groups).exclude(user__is_active=True)
    found = list(empty.order_by("name").values_list("name", flat=True))
    if draft.approver_users and not active_users_among(draft.approver_users, []).exists():
        found.append(NAMED_USERS)
    return tuple(found)
