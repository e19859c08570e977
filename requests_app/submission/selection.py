"""What somebody has ticked on New Request, and the drafts that come of it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet, Value, prefetch_related_objects

from accessflows.flows.catalogue import NARROWED, ORDER, names_in, narrowed, requestable_targets
from accessflows.models import APPROVAL_LABELS, AccessFlow, FlowTarget, Integration
from apono_portal.core.db.prepared import prepared
from apono_portal.core.formatting.durations import format_duration
from requests_app.models import AccessRequest
from requests_app.submission.evaluation import RequestDraft

MOST_TARGETS = 50
MAX_ID_DIGITS = 18
PAGE_SIZE = 25
KINDS = dict(Integration.Kind.choices)


@dataclass(frozen=True)
class Selection:
    """Targets the person may ask for, as ticked. ``error``: not everything that was sent is one."""

    targets: list[FlowTarget] = field(default_factory=list)
    error: str = ""

    def read_approvers(self) -> None:
        """Read who approves, of all flows at once: pages name them."""
        prefetch_related_objects(self.targets, "flow__approver_groups", "flow__approver_users")

    @property
    def flows(self) -> list[AccessFlow]:
        return list({target.flow_id: target.flow for target in self.targets}.values())

    def drafts(self, duration: timedelta) -> list[RequestDraft]:
        """One for each flow. Of several, one that gives less time is asked for what it gives; the
        limit of one is none of the others'."""
        longest = max((flow.max_duration for flow in self.flows), default=duration)
        fits = len(self.flows) > 1 and duration <= longest
        return [
            RequestDraft(
                flow,
                frozenset(target.pk for target in self.targets if target.flow_id == flow.pk),
                min(duration, flow.max_duration) if fits else duration,
            )
            for flow in self.flows
        ]


def parse_selection(user: Any, texts: Iterable[str]) -> Selection:
    """Read ticked targets. Only what the person may ask for now counts."""
    wanted = set(texts)
    if len(wanted) > MOST_TARGETS:
        return Selection(error=f"Choose at most {MOST_TARGETS} at once. Nothing was sent.")
    numbers = {int(text) for text in wanted if _is_id(text)}
    found = _wished(user.pk, sorted(numbers)) if numbers else []
    if len(found) == len(wanted):
        return Selection(found)
    return Selection(
        found, "Not everything you chose can be asked for now. It was left out; choose again."
    )


@prepared(int, [int])
def _wished(user_id: int, pks: list[int]) -> QuerySet[FlowTarget]:
    """Targets by number, of those the person may ask for."""
    return requestable_targets(user_id).prefetch_related(None).filter(pk__in=pks)


def selection_of_request(request: AccessRequest) -> Selection:
    """Return what a request asked for, as its flow gives it to its requester now."""
    offered = requestable_targets(request.requester).filter(flow=request.flow_id or 0)
    wanted = {
        (each.integration_id, each.resource, each.permission) for each in request.targets.all()
    }
    found = [
        target
        for target in offered
        if (target.resource.integration_id, target.resource.name, target.permission.name) in wanted
    ]
    if len(found) == len(wanted) and found:
        return Selection(found)
    gone = f"{request.flow_name} does not give you all of it any more."
    return Selection(found, f"{gone} Choose anew what you need.")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS


class CatalogFilterForm(forms.Form):
    """What the list is narrowed to. An unknown value finds nothing."""

    q = forms.CharField(
        label="Search by resource, role, flow or system", max_length=100, required=False
    )
    flow = forms.CharField(max_length=80, required=False)
    integration = forms.CharField(max_length=80, required=False)
    resource = forms.CharField(max_length=63, required=False)
    permission = forms.CharField(max_length=63, required=False)

    @property
    def names(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name, "") for name in NARROWED}


@dataclass(frozen=True)
class Group:
    """Rows under the resource they are of; under none, those that are ticked and out of sight."""

    resource: str
    system: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class CatalogPage:
    """The part of the catalogue that is in sight: rows by resource, and what is ticked elsewhere."""

    look: CatalogFilterForm
    names: Mapping[str, list[str]]
    page: Page[Any]
    groups: list[Group]
    elsewhere: Group | None

    @property
    def is_narrowed(self) -> bool:
        return any(self.look.cleaned_data.values())


class CatalogRow(NamedTuple):
    """A target through one flow, as far as a row tells of it."""

    pk: int
    resource_id: int
    resource: str
    system: str
    kind: str
    permission: str
    description: str
    rights: dict[str, Any]
    flow_id: int
    flow: str
    require_mfa: bool
    approval: str
    longest: timedelta


OFFERED = (
    "pk",
    "resource_id",
    "resource__name",
    "resource__integration__name",
    "resource__integration__kind",
    "permission__name",
    "permission__description",
    "permission__rights",
    "flow_id",
    "flow__name",
    "flow__require_mfa",
    "flow__approval",
    "flow__max_duration",
)


def catalog_page(user: Any, data: Mapping[str, Any], selection: Selection) -> CatalogPage:
    """Return a page of what the person may ask for, with what is ticked."""
    look = CatalogFilterForm(data)
    look.full_clean()
    everything = _everything(user.pk)
    page = Paginator(_found(user, look, everything), PAGE_SIZE).get_page(data.get("page"))
    in_sight = _offers(list(page.object_list))
    ticked = {target.pk for target in selection.targets}
    hidden = _offers(list(ticked - {offer.pk for offer in in_sight}))
    approvers = _approvers_of({offer.flow_id for offer in (*in_sight, *hidden)})
    draw = partial(_rows, ticked=ticked, approvers=approvers)
    return CatalogPage(
        look=look,
        names=names_in(row[1:] for row in everything),
        page=page,
        groups=[
            _group(list(members), draw)
            for _, members in groupby(in_sight, key=lambda offer: offer.resource_id)
        ],
        elsewhere=Group("", "", draw(hidden)) if hidden else None,
    )


@prepared(int)
def _everything(user_id: int) -> QuerySet[Any, Any]:
    """The number of each target the person may ask for, and what the list is narrowed by, in order."""
    rows = requestable_targets(user_id).select_related(None).prefetch_related(None)
    return rows.values_list("pk", *NARROWED.values())


def _found(user: Any, look: CatalogFilterForm, everything: list[tuple[Any, ...]]) -> list[int]:
    """Return the numbers of what is looked for. Only words need another question."""
    words = look.cleaned_data.get("q", "")
    if words:
        found = narrowed(requestable_targets(user.pk), words=words, names=look.names)
        return list(found.values_list("pk", flat=True))
    wanted = [look.names[name] for name in NARROWED]
    return [
        pk
        for pk, *names in everything
        if all(name in ("", has) for name, has in zip(wanted, names, strict=True))
    ]


def _offers(pks: list[int]) -> list[CatalogRow]:
    """Return some of what the person may ask for, by number, in the order of the list."""
    return [CatalogRow(*each) for each in _offered(pks)] if pks else []


@prepared([int])
def _offered(pks: list[int]) -> QuerySet[Any, Any]:
    return FlowTarget.objects.filter(pk__in=pks).order_by(*ORDER).values_list(*OFFERED)


def _approvers_of(flows: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the groups, then of the people, who approve through some flows. One query."""
    found: dict[int, list[str]] = {}
    rows = _approvers(flows) if flows else ()
    for flow_id, _, name in sorted(rows):
        found.setdefault(flow_id, []).append(name)
    return found


@prepared([int])
def _approvers(flows: list[int]) -> QuerySet[Any, Any]:
    flow: Any = AccessFlow
    groups = flow.approver_groups.through.objects.filter(accessflow__in=flows)
    people = flow.approver_users.through.objects.filter(accessflow__in=flows)
    named: QuerySet[Any, Any] = groups.values_list("accessflow_id", Value(0), "group__name")
    return named.union(people.values_list("accessflow_id", Value(1), "user__name"), all=True)


def _group(
    offers: list[CatalogRow], draw: Callable[[list[CatalogRow]], list[dict[str, Any]]]
) -> Group:
    first = offers[0]
    return Group(first.resource, f"{first.system} · {KINDS[first.kind]}", draw(offers))


def _rows(
    offers: list[CatalogRow], *, ticked: Collection[int], approvers: Mapping[int, list[str]]
) -> list[dict[str, Any]]:
    """Return offers as the list shows them, each to be ticked: plain words."""
    return [
        {
            "number": str(offer.pk),
            "ticked": offer.pk in ticked,
            "resource": offer.resource,
            "permission": offer.permission,
            "description": offer.description,
            "words": offer.rights.get("words", {}).get(offer.resource, []),
            "flow": offer.flow,
            "mfa": offer.require_mfa,
            "approvers": ", ".join(approvers.get(offer.flow_id, [])),
            "approval": APPROVAL_LABELS[offer.approval],
            "longest": format_duration(offer.longest),
        }
        for offer in offers
    ]
