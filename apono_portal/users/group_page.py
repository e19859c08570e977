"""What the page of a group shows: its members, where they come from, and the access flows that name it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from django.contrib.auth.models import Group

from accessflows.models import AccessFlow
from accessflows.requesters import IS
from apono_portal.sso.models import ClaimMapping, MappedMembership
from apono_portal.users.directory import EXACT_COUNT_LIMIT, DirectoryFilter, directory_page
from apono_portal.users.models import User
from apono_portal.users.ownership import directory_of_group
from apono_portal.users.user_page import LOCAL

MAX_FLOWS = 200  # of each kind


@dataclass(frozen=True)
class Member:
    """A member, and whether the membership comes from a directory, from single sign-on, or from the portal."""

    user: User
    source: str


@dataclass(frozen=True)
class NamingFlow:
    """An access flow that names a group, and what the group's members are to it."""

    flow: AccessFlow
    role: str


@dataclass(frozen=True)
class GroupPage:
    """All that the page of a group shows. ``before`` and ``after`` lead to the pages of members on either side."""

    group: Group
    directory: str
    providers: list[str]
    size: str
    members: list[Member]
    before: int | None
    after: int | None
    summary: str
    flows: list[NamingFlow]


def group_page(
    group: Group, filters: DirectoryFilter, *, before: int | None, after: int | None
) -> GroupPage:
    directory = directory_of_group(group)
    page = directory_page(replace(filters, group_id=group.pk), before=before, after=after)
    return GroupPage(
        group=group,
        directory=directory,
        providers=_providers_of(group),
        size=_size_of(group),
        members=_with_sources(group, page.users, directory),
        before=page.before,
        after=page.after,
        summary=page.summary,
        flows=sorted(_flows_naming(group), key=lambda naming: naming.flow.name),
    )


def _size_of(group: Group) -> str:
    """Return "12 members", or "more than 1,000 members"; no more are counted."""
    members = User.groups.through._default_manager.filter(group_id=group.pk)
    number = members[: EXACT_COUNT_LIMIT + 1].count()
    if number > EXACT_COUNT_LIMIT:
        return f"more than {EXACT_COUNT_LIMIT:,} members"
    return f"{number:,} member{'' if number == 1 else 's'}"


def _with_sources(group: Group, users: Collection[User], directory: str) -> list[Member]:
    mapped = MappedMembership.objects.filter(group=group, user__in=users)
    providers = {row.user_id: str(row.provider) for row in mapped.select_related("provider")}
    return [Member(user, directory or providers.get(user.pk, LOCAL)) for user in users]


def _providers_of(group: Group) -> list[str]:
    """Return the identity providers that add users to a group when they sign in."""
    mappings = ClaimMapping.objects.filter(group=group).select_related("provider")
    return sorted({str(mapping.provider) for mapping in mappings})


def _flows_naming(group: Group) -> Iterator[NamingFlow]:
    values = group.requester_values.select_related("condition__flow")
    conditions = {value.condition for value in values[:MAX_FLOWS]}
    for flow, is_member in {(one.flow, one.operator == IS) for one in conditions}:
        yield NamingFlow(flow, "Requesters" if is_member else "Not requesters")
    for flow in group.decidable_flows.all()[:MAX_FLOWS]:
        yield NamingFlow(flow, "Approvers")
    for tier in group.escalated_flows.select_related("flow")[:MAX_FLOWS]:
        yield NamingFlow(tier.flow, "Approvers after escalation")
