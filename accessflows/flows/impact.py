"""Whom a flow concerns, and what saving a draft of it would change. Nothing here writes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, QuerySet

from accessflows.flows.diff import Difference, difference
from accessflows.flows.fingerprint import fingerprint_of, terms_of, terms_of_draft
from accessflows.flows.policies import NAMED_USERS
from accessflows.flows.selectors import requester_sets_of, requesters_of
from accessflows.flows.summary import sentences
from accessflows.flows.terms import FlowInput
from accessflows.flows.weakening import weakened_protection
from accessflows.models import AccessFlow, Permission
from accessflows.requesters import named, users_meeting
from mfa.methods.selectors import not_enrolled_condition

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_NAMES = 10
NO_DELEGATION = "Permissions that own objects or have grant options are allowed; at the last check, none of these did"


class Impact(NamedTuple):
    """How many active users can request through a flow, and how many of them lack MFA."""

    users: int
    without_mfa: int


def impact_of(flow: AccessFlow) -> Impact:
    return impact_on(requesters_of(flow))


def impact_on(requesters: "QuerySet[User]") -> Impact:
    return Impact(requesters.count(), requesters.filter(not_enrolled_condition()).count())


@dataclass(frozen=True)
class UserNames:
    """The names of the first users, and how many users there are."""

    first: tuple[str, ...]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.first)


NO_NAMES = UserNames((), 0)


@dataclass(frozen=True)
class DraftImpact:
    """What saving a draft changes.

    ``reach`` is who can request then; ``gaining`` and ``losing`` are users, ``differences`` the terms.
    ``fingerprint`` is the one the flow will have; ``empty_groups`` are approver groups that nobody
    active is in, ``delegations`` sentences on how users could give others access, ``summary`` the terms
    as sentences; ``weakened`` what protects less than before.
    """

    reach: Impact
    gaining: UserNames
    losing: UserNames
    differences: tuple[Difference, ...]
    fingerprint: str
    turns_mfa_on: bool
    empty_groups: tuple[str, ...]
    delegations: tuple[str, ...]
    summary: tuple[str, ...]
    weakened: tuple[str, ...]


def impact_of_draft(draft: FlowInput, flow: AccessFlow | None) -> DraftImpact:
    """Compare a draft with the flow as it is, or with nothing if the flow is new."""
    after = users_meeting(draft.requesters)
    before = requesters_of(flow) if flow else after.none()
    is_changed = not flow or draft.requesters != requester_sets_of(flow)
    terms, old_terms = terms_of_draft(draft), terms_of(flow) if flow else None
    return DraftImpact(
        reach=impact_on(after),
        gaining=_names(_without(after, before)) if is_changed else NO_NAMES,
        losing=_names(_without(before, after)) if flow and is_changed else NO_NAMES,
        differences=tuple(difference(old_terms, terms)) if old_terms else (),
        fingerprint=fingerprint_of(terms),
        turns_mfa_on=draft.require_mfa and not (flow and flow.require_mfa),
        empty_groups=_empty_groups(draft),
        delegations=_delegations(draft),
        summary=tuple(sentences(terms)),
        weakened=weakened_protection(FlowInput.of(flow), draft) if flow else (),
    )


def _delegations(draft: FlowInput) -> tuple[str, ...]:
    """Return how users could give others access through the permissions of a draft that allows it."""
    if not draft.allow_delegation:
        return ()
    permissions = Permission.objects.filter(pk__in={permission for _, permission in draft.targets})
    sentences = (one.delegation for one in permissions.order_by("name"))
    return tuple(sentence for sentence in sentences if sentence) or (NO_DELEGATION,)


def _without(users: "QuerySet[User]", others: "QuerySet[User]") -> "QuerySet[User]":
    return users.filter(~Exists(others.order_by().filter(pk=OuterRef("pk"))))


def _names(users: "QuerySet[User]") -> UserNames:
    first = users.order_by("name", "email")[:MAX_NAMES]
    return UserNames(tuple(user.name for user in first), users.count())


def _empty_groups(draft: FlowInput) -> tuple[str, ...]:
    if draft.approval == AccessFlow.Approval.AUTOMATIC:
        return ()
    empty = Group.objects.filter(pk__in=draft.approver_groups).exclude(user__is_active=True)
    names = list(empty.order_by("name").values_list("name", flat=True))
    if draft.approver_users and not users_meeting(named(users=draft.approver_users)).exists():
        names.append(NAMED_USERS)
    return tuple(names)
