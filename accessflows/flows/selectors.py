"""Reads that cross models: what a flow grants, who can request it, and the rows of the lists."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accessflows.models import (
    AccessFlow,
    EscalationTier,
    FlowTarget,
    Integration,
    Permission,
    Resource,
)

if TYPE_CHECKING:
    from apono_portal.users.models import User

Ids = Collection[int] | QuerySet[Any, Any]


def available_targets() -> QuerySet[FlowTarget]:
    """Return what can be granted now: still present, on an enabled integration."""
    return (
        FlowTarget.objects.filter(
            resource__integration__is_active=True,
            resource__missing_since=None,
            permission__missing_since=None,
        )
        .select_related("resource__integration", "permission")
        .order_by("resource__integration__name", "resource__name", "permission__name")
    )


def all_targets_of(flow: AccessFlow) -> list[FlowTarget]:
    """Return every target of a flow, also those that cannot be granted now."""
    targets = FlowTarget.objects.filter(flow=flow).order_by()
    return list(targets.select_related("resource__integration", "permission"))


def targets_by_flow(flow_ids: Ids) -> dict[int, list[FlowTarget]]:
    """Return every target of these flows, each with its flow as stored. One statement."""
    targets = FlowTarget.objects.filter(flow__in=flow_ids).order_by("flow__name", "pk")
    by_flow: dict[int, list[FlowTarget]] = {}
    for target in targets.select_related("flow", "resource__integration", "permission"):
        by_flow.setdefault(target.flow_id, []).append(target)
    return by_flow


def available_targets_of(flow: AccessFlow) -> list[FlowTarget]:
    """Return what a flow can grant now, by name."""
    return available_now(all_targets_of(flow))


def available_now(targets: Iterable[FlowTarget]) -> list[FlowTarget]:
    """Return those of a flow's targets that are among `available_targets`, by name."""
    return sorted(
        (target for target in targets if target.is_available),
        key=lambda target: (
            target.resource.integration.name,
            target.resource.name,
            target.permission.name,
        ),
    )


def requesters_of(flow: AccessFlow) -> "QuerySet[User]":
    """Return the active users who can request through a flow."""
    return active_users_among(flow.requester_users.values("pk"), flow.requester_groups.values("pk"))


def active_users_among(users: Ids, groups: Ids) -> "QuerySet[User]":
    """Return the active users who are among ``users`` or in one of ``groups``, once each."""
    active: QuerySet[User] = get_user_model()._default_manager.filter(is_active=True)
    return active.filter(Q(pk__in=users) | Q(groups__in=groups)).distinct()


def with_is_approver(users: "QuerySet[User]") -> "QuerySet[User]":
    """Annotate users with whether any flow names them, or a group of theirs, as approver."""
    user, flow = OuterRef("pk"), AccessFlow
    by_name = flow.approver_users.through._default_manager.filter(user=user)
    by_group = flow.approver_groups.through._default_manager.filter(group__user=user)
    by_tier = EscalationTier.objects.filter(group__user=user)
    return users.annotate(is_approver=Exists(by_name) | Exists(by_group) | Exists(by_tier))


def flows_using(integration: Integration) -> QuerySet[AccessFlow]:
    """Return the flows that grant something on an integration."""
    return AccessFlow.objects.using_integration(integration.pk)


def flow_rows(flows: QuerySet[AccessFlow]) -> QuerySet[AccessFlow]:
    """Return flows with everything the list shows, in a fixed number of queries.

    ``requester_count`` is the number of active users who can request, by name or by group.
    """
    targets = FlowTarget.objects.select_related("resource__integration", "permission")
    return flows.annotate(requester_count=_requester_count()).prefetch_related(
        "requester_groups",
        "requester_users",
        "approver_groups",
        "approver_users",
        Prefetch("targets", queryset=targets),
    )


def _requester_count() -> Coalesce:
    flow = OuterRef(OuterRef("pk"))
    named = AccessFlow.requester_users.through._default_manager.filter(accessflow=flow)
    memberships = get_user_model().groups.through._default_manager
    members = memberships.filter(group__requestable_flows=flow)
    requesters = get_user_model()._default_manager.filter(
        Q(pk__in=named.values("user")) | Q(pk__in=members.values("user")), is_active=True
    )
    counted = requesters.order_by().values("is_active").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def integration_rows() -> QuerySet[Integration]:
    """Return integrations with their number of present resources and permissions."""
    return Integration.objects.annotate(
        resource_count=_present_count(Resource), permission_count=_present_count(Permission)
    )


def _present_count(model: type[Resource] | type[Permission]) -> Coalesce:
    present = model.objects.present().filter(integration=OuterRef("pk")).order_by()
    counted = present.values("integration").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
