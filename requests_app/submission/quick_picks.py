"""Quick picks on New Request: favorites and recent requests. They fill the form and send nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from accessflows.flows.catalog import requestable_targets
from accessflows.models import AccessFlow
from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.formatting.durations import format_duration
from requests_app.models import AccessRequest

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_FAVORITES = 4
MAX_RECENT = 4
MAX_REQUESTS_READ = 30

TargetNames = tuple[int, int, str, str]  # flow and integration, resource and permission


@dataclass(frozen=True)
class QuickPick:
    """A way to fill the form: ``query`` is its part of the address."""

    name: str
    detail: str
    query: str


@dataclass(frozen=True)
class QuickPicks:
    favorites: list[QuickPick] = field(default_factory=list)
    recent: list[QuickPick] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.favorites or self.recent)


def quick_picks(user: "User") -> QuickPicks:
    """Return what the user marked and what they requested last, as far as flows offer it now.

    The number of statements does not depend on that of requests or flows.
    """
    flows = AccessFlow.objects.requestable_by(user).filter(favorites__user=user)
    favorites = list(flows.order_by("name")[:MAX_FAVORITES])
    latest = list(
        AccessRequest.objects.of(user)
        .exclude(flow=None)
        .select_related("flow")
        .prefetch_related("targets")[:MAX_REQUESTS_READ]
    )
    offered = _offered_targets(user, latest)
    recent: dict[tuple[str, ...], AccessRequest] = {}
    for request in latest:
        pks = [offered.get(names, "") for names in _names_of(request)]
        if pks and all(pks):
            recent.setdefault(tuple(sorted(pks)), request)
    of_flow = {request.flow_id: pks for pks, request in reversed(recent.items())}
    starred = {flow.pk for flow in favorites}
    others = [(pks, one) for pks, one in recent.items() if one.flow_id not in starred]
    return QuickPicks(
        favorites=[
            _pick_again(recent[of_flow[flow.pk]], of_flow[flow.pk])
            if flow.pk in of_flow
            else _pick_flow(flow)
            for flow in favorites
        ],
        recent=[_pick_again(one, pks, with_time=True) for pks, one in others[:MAX_RECENT]],
    )


def _offered_targets(user: "User", requests: Iterable[AccessRequest]) -> dict[TargetNames, str]:
    """Return the id of each requested target that the user can request again."""
    targets = [target for request in requests for target in request.targets.all()]
    if not targets:
        return {}
    offered = requestable_targets(user).prefetch_related(None).order_by()
    rows = offered.filter(
        flow__in={request.flow_id for request in requests},
        resource__name__in={target.resource for target in targets},
        permission__name__in={target.permission for target in targets},
    ).values_list("flow", "resource__integration", "resource__name", "permission__name", "pk")
    return {
        (flow, integration, resource, permission): str(pk)
        for flow, integration, resource, permission, pk in rows
    }


def _names_of(request: AccessRequest) -> list[TargetNames]:
    return [
        (request.flow_id or 0, target.integration_id or 0, target.resource, target.permission)
        for target in request.targets.all()
    ]


def _pick_again(
    request: AccessRequest, pks: Iterable[str], *, with_time: bool = False
) -> QuickPick:
    """Return a pick of the same targets, for as long as the flow allows today."""
    maximum: timedelta = request.flow.max_duration if request.flow else request.duration
    duration = format_duration(min(request.duration, maximum))
    resources = ", ".join(dict.fromkeys(target.resource for target in request.targets.all()))
    when = f", {relative_datetime(request.created_at)}" if with_time else ""
    query = [*(("target", pk) for pk in pks), ("duration", duration)]
    name = request.flow.name if request.flow else request.flow_name
    return QuickPick(name, f"{resources} · {duration}{when}", urlencode(query))


def _pick_flow(flow: AccessFlow) -> QuickPick:
    """Return a pick that lists what a flow offers, of which nothing was requested lately."""
    maximum = format_duration(flow.max_duration)
    return QuickPick(flow.name, f"max {maximum}", urlencode({"flow": flow.name}))
