"""Reads that cross models: what a flow grants, who can request it, and the rows of the lists."""

from collections.abc import Collection, Iterable
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Exists, IntegerField, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accessflows.models import (
    AccessFlow,
    EscalationTier,
    FlowTarget,
    Integration,
    Permission,
    RequesterCondition,
    RequesterValue,
    Resource,
)
from accessflows.requesters import Condition, ConditionSet, Sets, users_meeting, value_column

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


def requester_sets(conditions: QuerySet[RequesterCondition]) -> dict[int, Sets]:
    """Return the sets of conditions by flow. One statement.

    A condition without values is one whose users were all deleted.
    """
    columns = ("flow", "set_number", "position", "attribute", "operator")
    values = ("values__user", "values__group", "values__text")
    rows = conditions.order_by(*columns[:3], "values__pk").values_list(*columns, *values)
    by_flow: dict[int, list[ConditionSet]] = {}
    for (flow_id, _), of_set in groupby(rows, key=itemgetter(0, 1)):
        conditions_of_set = tuple(
            Condition(attribute, operator, _values(attribute, operator, group))
            for (_, attribute, operator), group in groupby(of_set, key=itemgetter(2, 3, 4))
        )
        by_flow.setdefault(flow_id, []).append(conditions_of_set)
    return {flow_id: tuple(sets) for flow_id, sets in by_flow.items()}


def _values(attribute: str, operator: str, rows: Iterable[Any]) -> tuple[int | str | None, ...]:
    column = value_column(attribute, operator)
    values = [dict(zip(("user", "group", "text"), row[5:], strict=True)) for row in rows]
    return tuple(value[column] for value in values if value["text"] is not None)


def requester_sets_of(flow: AccessFlow) -> Sets:
    return requester_sets(RequesterCondition.objects.filter(flow=flow)).get(flow.pk, ())


def requesters_of(flow: AccessFlow) -> "QuerySet[User]":
    """Return the active users who can request through a flow."""
    return users_meeting(requester_sets_of(flow))


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

    It describes who can request instead of counting them: a group may have a million members.
    """
    targets = FlowTarget.objects.select_related("resource__integration", "permission")
    values = RequesterValue.objects.select_related("user", "group")
    return flows.prefetch_related(
        Prefetch("requester_conditions__values", queryset=values),
        "approver_groups",
        "approver_users",
        Prefetch("targets", queryset=targets),
    )


def integration_rows() -> QuerySet[Integration]:
    """Return integrations with their number of present resources and permissions."""
    return Integration.objects.annotate(
        resource_count=_present_count(Resource), permission_count=_present_count(Permission)
    )


def _present_count(model: type[Resource] | type[Permission]) -> Coalesce:
    present = model.objects.present().filter(integration=OuterRef("pk")).order_by()
    counted = present.values("integration").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
