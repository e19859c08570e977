"""What a requester selects on New Request, and the catalog to select from."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import prefetch_related_objects

from accessflows.flows.catalog import (
    FILTER_FIELDS,
    filter_options,
    filter_targets,
    requestable_targets,
)
from accessflows.models import AccessFlow, FlowTarget
from requests_app.models import AccessRequest, RequestedTarget, Status
from requests_app.submission.favorites import favorite_ids

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_TARGETS = 50
MAX_ID_DIGITS = 18
PAGE_SIZE = 25
CATALOG_ORDER = (
    "flow__name",
    "resource__integration__name",
    "resource__name",
    "permission__name",
    "pk",
)

TargetNames = tuple[int, str, str]  # integration, resource and permission


@dataclass(frozen=True)
class Selection:
    """Targets for a duration, and what the requester wrote; ``justification`` is None until they did.

    ``error`` says why part of what was sent is left out.
    """

    targets: Sequence[FlowTarget] = ()
    duration: timedelta = timedelta(0)
    justification: str | None = None
    ticket: str = ""
    error: str = ""

    @property
    def flows(self) -> list[AccessFlow]:
        return list({target.flow_id: target.flow for target in self.targets}.values())

    @property
    def longest(self) -> timedelta | None:
        """The longest duration that one of the flows allows; None without any."""
        return max((flow.max_duration for flow in self.flows), default=None)

    def per_flow(self) -> "list[Selection]":
        """Return one selection for each flow.

        Of several flows, each gets at most its maximum duration, if one allows the whole duration.
        """
        flows = self.flows
        longest = max((flow.max_duration for flow in flows), default=self.duration)
        is_capped = len(flows) > 1 and self.duration <= longest
        return [
            replace(
                self,
                targets=[target for target in self.targets if target.flow_id == flow.pk],
                duration=min(self.duration, flow.max_duration) if is_capped else self.duration,
            )
            for flow in flows
        ]

    @property
    def digest(self) -> str:
        """Digest of what a review page shows, so that nothing else is submitted from it."""
        shown = [
            [
                part.flows[0].pk,
                part.flows[0].fingerprint,
                int(part.duration.total_seconds()),
                sorted(target.pk for target in part.targets),
            ]
            for part in sorted(self.per_flow(), key=lambda part: part.flows[0].pk)
        ]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]

    @property
    def content_digest(self) -> str:
        """Digest of all that was filled in."""
        content = [
            sorted(target.pk for target in self.targets),
            self.duration.total_seconds(),
            self.justification,
            self.ticket,
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def prefetch_approvers(self) -> None:
        prefetch_related_objects(
            list(self.targets), "flow__approver_groups", "flow__approver_users"
        )


def parse_selection(user: "User", ids: Iterable[str]) -> Selection:
    """Return the selected targets that the user can request now."""
    unique = set(ids)
    if len(unique) > MAX_TARGETS:
        return Selection(error=f"Select at most {MAX_TARGETS} at once. Nothing was sent.")
    pks = [int(text) for text in unique if _is_id(text)]
    requestable = requestable_targets(user).prefetch_related(None)
    targets = list(requestable.filter(pk__in=pks)) if pks else []
    if len(targets) == len(unique):
        return Selection(targets)
    error = "Some of what you selected is not available. It was removed; check your selection."
    return Selection(targets, error=error)


def selection_of_request(request: AccessRequest, user: "User") -> Selection:
    """Return the targets of the user's earlier request, as its flow offers them now."""
    requested = {(t.integration_id, t.resource, t.permission) for t in request.targets.all()}
    targets = [
        target
        for target in requestable_targets(user).filter(flow=request.flow_id or 0)
        if (target.resource.integration_id, target.resource.name, target.permission.name)
        in requested
    ]
    if len(targets) == len(requested) and targets:
        return Selection(targets)
    error = f"{request.flow_name} no longer offers everything you requested. Select again."
    return Selection(targets, error=error)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS


class CatalogFilterForm(forms.Form):
    """Filters of the catalog. An unknown value matches nothing."""

    q = forms.CharField(
        label="Search by resource, permission, flow or integration", max_length=100, required=False
    )
    flow = forms.CharField(max_length=80, required=False)
    integration = forms.CharField(max_length=80, required=False)
    resource = forms.CharField(max_length=63, required=False)
    permission = forms.CharField(max_length=63, required=False)

    @property
    def names(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name, "") for name in FILTER_FIELDS}


@dataclass(frozen=True)
class CatalogGroup:
    """Rows of one access flow; without a flow, selected rows that are not on the page."""

    flow: AccessFlow | None
    rows: list[dict[str, Any]]
    is_favorite: bool = False

    @property
    def approvers(self) -> str:
        return ", ".join(approver_names(self.flow)) if self.flow else ""


@dataclass(frozen=True)
class CatalogPage:
    """One page of the catalog, and the selected rows that are not on it."""

    filters: CatalogFilterForm
    options: Mapping[str, list[str]]
    page: Page[FlowTarget]
    groups: list[CatalogGroup] = field(default_factory=list)
    selected_elsewhere: CatalogGroup | None = None

    @property
    def is_filtered(self) -> bool:
        return any(self.filters.cleaned_data.values())


def catalog_page(user: "User", data: Mapping[str, Any], selection: Selection) -> CatalogPage:
    """Return a page of what the user can request, by access flow, with the selection marked."""
    filters = CatalogFilterForm(data)
    filters.full_clean()
    targets = requestable_targets(user)
    words = filters.cleaned_data.get("q", "")
    matching = filter_targets(targets, words=words, names=filters.names).order_by(*CATALOG_ORDER)
    page = Paginator(matching, PAGE_SIZE).get_page(data.get("page"))
    on_page = list(page.object_list)
    selected = {target.pk for target in selection.targets}
    elsewhere = [target for target in selection.targets if target not in on_page]
    favorites, active = favorite_ids(user), active_access_of(user)
    return CatalogPage(
        filters=filters,
        options=filter_options(targets.prefetch_related(None).values_list(*FILTER_FIELDS.values())),
        page=page,
        groups=[
            CatalogGroup(flow, _rows(members, selected, active), is_favorite=flow.pk in favorites)
            for flow, members in groupby(on_page, key=lambda target: target.flow)
        ],
        selected_elsewhere=CatalogGroup(None, _rows(elsewhere, selected, active))
        if elsewhere
        else None,
    )


def active_access_of(user: "User") -> dict[TargetNames, AccessRequest]:
    """Return the user's active access by integration, resource and permission, the longest of each."""
    targets = RequestedTarget.objects.filter(
        request__in=AccessRequest.objects.of(user).filter(status=Status.ACTIVE)
    )
    rows = targets.select_related("request").order_by("request__ends_at")
    return {(row.integration_id or 0, row.resource, row.permission): row.request for row in rows}


def approver_names(flow: AccessFlow) -> list[str]:
    """Return the names of the groups and users who approve, from what was prefetched."""
    groups = sorted(group.name for group in flow.approver_groups.all())
    return groups + sorted(user.name for user in flow.approver_users.all())


def _rows(
    targets: Iterable[FlowTarget],
    selected: Collection[int],
    active: Mapping[TargetNames, AccessRequest],
) -> list[dict[str, Any]]:
    return [
        {
            "pk": str(target.pk),
            "is_selected": target.pk in selected,
            "resource": target.resource.name,
            "integration": target.resource.integration.name,
            "permission": target.permission.name,
            "description": target.permission.description,
            "rights": target.permission.rights_on(target.resource.name),
            "flow": target.flow.name,
            "active": active.get(
                (target.resource.integration_id, target.resource.name, target.permission.name)
            ),
        }
        for target in targets
    ]
