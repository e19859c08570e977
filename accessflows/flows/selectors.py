"""Reads that cross models: what a person may ask for, what a flow gives, whom it concerns."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Count, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accessflows.models import AccessFlow, FlowTarget, Integration, Permission, Resource
from apono_portal.core.db.prepared import prepared
from mfa.models import Authenticator


def available_targets_of(flow: AccessFlow) -> list[FlowTarget]:
    """Return what a flow gives now: targets still present on an integration in use."""
    return available_now(all_targets_of(flow))


def all_targets_of(flow: AccessFlow) -> list[FlowTarget]:
    """Return every target a flow names, also what cannot be given now. One query."""
    return _targets_named_by(flow.pk)


def available_now(targets: Iterable[FlowTarget]) -> list[FlowTarget]:
    """Of a flow's targets return those that `available_targets` would find, by name."""
    return sorted(
        (target for target in targets if target.is_available),
        key=lambda each: (each.resource.integration.name, each.resource.name, each.permission.name),
    )


def requesters_of(flow: AccessFlow) -> QuerySet[Any]:
    """Return the active people who may ask through a flow."""
    return active_users_among(flow.requester_users.values("pk"), flow.requester_groups.values("pk"))


def active_users_among(users: Any, groups: Any) -> QuerySet[Any]:
    """Return the active people who are named, or are in one of the groups, once each."""
    people: QuerySet[Any] = get_user_model()._default_manager.filter(is_active=True)
    return people.filter(Q(pk__in=users) | Q(groups__in=groups)).distinct()


def flows_using(integration: Integration) -> QuerySet[AccessFlow]:
    """Return the flows that give something of an integration."""
    return AccessFlow.objects.leading_to(integration.pk)


def available_targets() -> QuerySet[FlowTarget]:
    """Return what can be given now: still present, on an integration in use."""
    return (
        FlowTarget.objects.filter(
            resource__integration__is_active=True,
            resource__missing_since=None,
            permission__missing_since=None,
        )
        .select_related("resource__integration", "permission")
        .order_by("resource__integration__name", "resource__name", "permission__name")
    )


@prepared(int)
def _targets_named_by(flow_id: int) -> QuerySet[FlowTarget]:
    named = FlowTarget.objects.filter(flow=flow_id).order_by()
    return named.select_related("resource__integration", "permission")


class Impact(NamedTuple):
    """Whom a flow concerns: active people who can request, and how many of them lack MFA."""

    people: int
    without_mfa: int


def impact_of(flow: AccessFlow) -> Impact:
    return impact_on(requesters_of(flow))


def impact_on(requesters: QuerySet[Any]) -> Impact:
    people = requesters.values("pk")
    enrolled = Authenticator.objects.confirmed().filter(user__in=people).values("user").distinct()
    count = people.count()
    return Impact(count, count - enrolled.count())


def flow_rows(flows: QuerySet[AccessFlow]) -> QuerySet[AccessFlow]:
    """Return flows with everything the list says about them, in a fixed number of queries.

    ``people_count`` is how many active people may ask, by name or by group.
    """
    targets = FlowTarget.objects.select_related("resource__integration", "permission")
    return flows.annotate(people_count=_people_count()).prefetch_related(
        "requester_groups",
        "requester_users",
        "approver_groups",
        "approver_users",
        Prefetch("targets", queryset=targets),
    )


def _people_count() -> Any:
    people = get_user_model()._default_manager.filter(is_active=True)
    flow = OuterRef(OuterRef("pk"))
    named = AccessFlow.requester_users.through._default_manager.filter(accessflow=flow)
    memberships: Any = get_user_model().groups.through
    grouped = memberships._default_manager.filter(group__requestable_flows=flow)
    counted = (
        people.filter(Q(pk__in=named.values("user")) | Q(pk__in=grouped.values("user")))
        .order_by()
        .values("is_active")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def integration_rows() -> QuerySet[Integration]:
    """Return integrations with the number of ``resource_count`` and ``permission_count`` present."""
    return Integration.objects.annotate(
        resource_count=_present(Resource), permission_count=_present(Permission)
    )


def _present(model: type[Resource] | type[Permission]) -> Any:
    rows = model._default_manager.filter(integration=OuterRef("pk"), missing_since=None).order_by()
    counted = rows.values("integration").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
