"""What somebody has ticked on New Request, and the askings that come of it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from itertools import groupby
from typing import Any

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet, prefetch_related_objects

from accessflows.catalogue import NARROWED, names_in, narrowed, requestable_targets
from accessflows.durations import spell
from accessflows.models import AccessFlow, FlowTarget, Resource
from audit.prepared import Prepared, prepared
from requests_app.models import AccessRequest
from requests_app.outlook import names_of_approvers
from requests_app.prospects import Asking

MOST_TARGETS = 50
LARGEST_ID_DIGITS = 18
PAGE_SIZE = 25


@dataclass(frozen=True)
class Wish:
    """Targets the person may ask for, as ticked. ``error``: not everything that was sent is one."""

    targets: list[FlowTarget] = field(default_factory=list)
    error: str = ""

    def read_approvers(self) -> None:
        """Read who approves, of all flows at once: pages name them."""
        prefetch_related_objects(self.targets, "flow__approver_groups", "flow__approver_users")

    @property
    def flows(self) -> list[AccessFlow]:
        return list({target.flow_id: target.flow for target in self.targets}.values())

    def askings(self, duration: timedelta) -> list[Asking]:
        """One for each flow. Of several, one that gives less time is asked for what it gives; the
        limit of one is none of the others'."""
        longest = max((flow.max_duration for flow in self.flows), default=duration)
        fits = len(self.flows) > 1 and duration <= longest
        return [
            Asking(
                flow,
                frozenset(target.pk for target in self.targets if target.flow_id == flow.pk),
                min(duration, flow.max_duration) if fits else duration,
            )
            for flow in self.flows
        ]


def wish_of(user: Any, texts: Iterable[str]) -> Wish:
    """Read ticked targets. Only what the person may ask for now counts."""
    wanted = set(texts)
    if len(wanted) > MOST_TARGETS:
        return Wish(error=f"Choose at most {MOST_TARGETS} at once. Nothing was sent.")
    numbers = {int(text) for text in wanted if _is_id(text)}
    found = _wished(len(numbers))(user.pk, *sorted(numbers)) if numbers else []
    if len(found) == len(wanted):
        return Wish(found)
    return Wish(
        found, "Not everything you chose can be asked for now. It was left out; choose again."
    )


@cache
def _wished(count: int) -> Prepared:
    """So many targets by number, of those the person may ask for."""

    @prepared(int, *[int] * count)
    def wished(user_id: int, *pks: int) -> QuerySet[FlowTarget]:
        return requestable_targets(user_id).prefetch_related(None).filter(pk__in=pks)

    return wished


def wish_again(request: AccessRequest) -> Wish:
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
        return Wish(found)
    gone = f"{request.flow_name} does not give you all of it any more."
    return Wish(found, f"{gone} Choose anew what you need.")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LARGEST_ID_DIGITS


class LookForm(forms.Form):
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
class Shelf:
    """The part of the catalogue that is in sight: rows by resource, and what is ticked elsewhere."""

    look: LookForm
    names: Mapping[str, list[str]]
    page: Page[FlowTarget]
    groups: list[Group]
    elsewhere: Group | None

    @property
    def is_narrowed(self) -> bool:
        return any(self.look.cleaned_data.values())


def shelf_of(user: Any, data: Mapping[str, Any], wish: Wish) -> Shelf:
    """Return a page of what the person may ask for, with what is ticked."""
    look = LookForm(data)
    look.full_clean()
    everything = _everything(user.pk)
    page = _page_of(user, look, data, len(everything))
    in_sight = list(page.object_list)
    ticked = {target.pk for target in wish.targets}
    hidden = [target for target in wish.targets if target not in in_sight]
    draw = partial(_rows, ticked=ticked, approvers=_approvers_of([*in_sight, *hidden]))
    return Shelf(
        look=look,
        names=names_in(row[1:] for row in everything),
        page=page,
        groups=[
            _group(draw(list(members)), resource)
            for resource, members in groupby(in_sight, key=lambda target: target.resource)
        ],
        elsewhere=_group(draw(hidden)) if hidden else None,
    )


@prepared(int)
def _everything(user_id: int) -> QuerySet[Any, Any]:
    """The number of each target the person may ask for, and what the list is narrowed by."""
    rows = requestable_targets(user_id).select_related(None).prefetch_related(None).order_by()
    return rows.values_list("pk", *NARROWED.values())


@prepared(int)
def _first_page(user_id: int) -> QuerySet[FlowTarget]:
    return requestable_targets(user_id).prefetch_related(None)[:PAGE_SIZE]


def _page_of(user: Any, look: LookForm, data: Mapping[str, Any], count: int) -> Page[FlowTarget]:
    """Return a page of what is looked for. The first of all is what mostly is; its query is prepared."""
    targets = requestable_targets(user).prefetch_related(None)
    words = look.cleaned_data.get("q", "")
    pages = Paginator(narrowed(targets, words=words, names=look.names), PAGE_SIZE)
    if not any(look.cleaned_data.values()):
        pages.count = count
    page: Page[FlowTarget] = pages.get_page(data.get("page"))
    if page.number == 1 and not any(look.cleaned_data.values()):
        page.object_list = _first_page(user.pk)
    return page


def _approvers_of(targets: list[FlowTarget]) -> dict[int, str]:
    """Return the names of who approves, by flow."""
    flows = {target.flow_id: target.flow for target in targets}
    prefetch_related_objects(list(flows.values()), "approver_groups", "approver_users")
    return {pk: ", ".join(names_of_approvers(flow)) for pk, flow in flows.items()}


def _group(rows: list[dict[str, Any]], resource: Resource | None = None) -> Group:
    system = resource.integration if resource else None
    told = f"{system.name} · {system.get_kind_display()}" if system else ""
    return Group(resource.name if resource else "", told, rows)


def _rows(
    targets: list[FlowTarget], *, ticked: Collection[int], approvers: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return targets as the list shows them, each to be ticked: plain words."""
    return [
        {
            "number": str(target.pk),
            "ticked": target.pk in ticked,
            "resource": target.resource.name,
            "permission": target.permission.name,
            "description": target.permission.description,
            "words": target.words,
            "flow": target.flow.name,
            "mfa": target.flow.require_mfa,
            "approvers": approvers[target.flow_id],
            "approval": target.flow.get_approval_display(),
            "longest": spell(target.flow.max_duration),
        }
        for target in targets
    ]
