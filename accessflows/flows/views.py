"""Access Flows: the list, the form, the page after saving, and the history."""

import re

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accessflows.acting import action_context
from accessflows.exceptions import Refused
from accessflows.flows.condition_rows import apply_step
from accessflows.flows.forms import FlowFilterForm, FlowForm
from accessflows.flows.history import flow_events, history_page, last_difference, versions_of
from accessflows.flows.impact import impact_of
from accessflows.flows.policies import approver_sets
from accessflows.flows.selectors import available_targets_of, flow_rows
from accessflows.flows.services import change_flow, create_flow, set_flow_active
from accessflows.form_fields import add_refusal
from accessflows.models import AccessFlow
from accessflows.pickers import FIND, pick
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from audit.log.forms import MAX_ID

PAGE_SIZE = 50
FIELD_NAME = re.compile(r"[a-z0-9_-]{1,60}")
ROW_ID = re.compile(r"[0-9]{1,18}")


@readers_only
@require_GET
def flow_list(request: PortalRequest) -> HttpResponse:
    filters = FlowFilterForm(request.GET)
    flows = filters.apply(AccessFlow.objects.all())
    page = Paginator(flow_rows(flows), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "filters": filters,
        "any_flow": page.paginator.count or AccessFlow.objects.exists(),
    }
    return render(request, "accessflows/flow_list.html", context)


@admins_only
@require_GET
def choose_type(request: PortalRequest) -> HttpResponse:
    return render(request, "accessflows/flow_type.html")


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    like = _flow_to_copy(request)
    if "step" in request.POST:
        return _form_page(request, FlowForm(apply_step(request.POST), is_draft=True), flow=None)
    form = FlowForm(request.POST if request.method == "POST" else None, like=like)
    if form.is_bound and form.is_valid():
        try:
            flow = create_flow(**action_context(request), terms=form.terms())
            return redirect("flows:saved", pk=flow.pk)
        except Refused as refused:
            add_refusal(form, refused)
    return _form_page(request, form, flow=None, like=like)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    flow = get_object_or_404(AccessFlow, pk=pk)
    if flow.managed_by_file and request.method == "GET":
        return redirect("flows:history", pk=flow.pk)
    if "step" in request.POST:
        draft = FlowForm(apply_step(request.POST), flow=flow, is_draft=True)
        return _form_page(request, draft, flow=flow)
    form = FlowForm(request.POST if request.method == "POST" else None, flow=flow)
    if form.is_bound and form.is_valid():
        seen = form.cleaned_data["seen_version"]
        try:
            change_flow(**action_context(request), flow=flow, terms=form.terms(), seen_version=seen)
            return redirect("flows:saved", pk=flow.pk)
        except Refused as refused:
            add_refusal(form, refused)
    return _form_page(request, form, flow=flow)


@readers_only
@require_GET
def pick_options(request: PortalRequest, kind: str) -> HttpResponse:
    """Return what a picker shows while its search is typed, with what is chosen kept."""
    name = request.GET.get("field", "")
    if not FIELD_NAME.fullmatch(name):
        raise Http404
    picker = pick(
        name=name,
        kind=kind,
        values=request.GET.getlist(name),
        text=request.GET.get(f"{FIND}{name}", ""),
        is_single="single" in request.GET,
    )
    context = {"picker": picker, "required": "required" in request.GET}
    return render(request, "accessflows/_picker_options.html", context)


@admins_only
@require_GET
def saved(request: PortalRequest, pk: int) -> HttpResponse:
    flow = get_object_or_404(AccessFlow, pk=pk)
    context = {
        "flow": flow,
        "targets": available_targets_of(flow),
        "impact": impact_of(flow),
        "differences": last_difference(flow),
        "last_event": flow_events(flow.pk).first(),
        "empty_groups": [group.label for group in approver_sets(flow) if not group.members],
    }
    return render(request, "accessflows/flow_saved.html", context)


@admins_only
@require_POST
def activate(request: PortalRequest, pk: int) -> HttpResponse:
    return _set_active(request, pk, is_active=True)


@admins_only
@require_http_methods(["GET", "POST"])
def deactivate(request: PortalRequest, pk: int) -> HttpResponse:
    if request.method == "POST":
        return _set_active(request, pk, is_active=False)
    flow = get_object_or_404(AccessFlow, pk=pk)
    return render(request, "accessflows/flow_deactivate.html", {"flow": flow})


@readers_only
@require_GET
def history(request: PortalRequest, pk: int) -> HttpResponse:
    newest = versions_of(pk).first() if pk <= MAX_ID else None
    flow = AccessFlow.objects.filter(pk=pk).first()
    if newest is None and flow is None:
        raise Http404
    page, entries = history_page(pk, request.GET.get("page"))
    name = flow.name if flow else newest.name if newest else ""
    context = {"flow": flow, "name": name, "page": page, "entries": entries}
    return render(request, "accessflows/flow_history.html", context)


def _set_active(request: PortalRequest, pk: int, *, is_active: bool) -> HttpResponse:
    flow = get_object_or_404(AccessFlow, pk=pk)
    try:
        changed = set_flow_active(**action_context(request), flow=flow, is_active=is_active)
    except Refused as refused:
        messages.error(request, refused.sentence)
        return redirect("flows:list")
    if not changed:
        messages.info(request, f"{flow.name} was already {'active' if is_active else 'inactive'}.")
    elif is_active:
        messages.success(request, f"{flow.name} is active. Users can request through it.")
    else:
        messages.success(
            request,
            f"{flow.name} is inactive. Nobody can request through it, and its active access is being "
            "revoked.",
        )
    return redirect("flows:list")


def _flow_to_copy(request: PortalRequest) -> AccessFlow | None:
    """Return the flow that ``?like=`` names, for Duplicate."""
    flow_id = request.GET.get("like", "")
    if request.method != "GET" or not flow_id:
        return None
    if not ROW_ID.fullmatch(flow_id):
        raise Http404
    return get_object_or_404(AccessFlow, pk=int(flow_id))


def form_addresses(flow: AccessFlow | None) -> dict[str, str]:
    """Return where the form is sent, and where it is reviewed first."""
    if flow is None:
        names = {"form_action": "flows:create", "preview_action": "requests:preview_new_flow"}
        return {name: reverse(url) for name, url in names.items()}
    names = {"form_action": "flows:edit", "preview_action": "requests:preview_flow"}
    return {name: reverse(url, kwargs={"pk": flow.pk}) for name, url in names.items()}


def _form_page(
    request: PortalRequest,
    form: FlowForm,
    *,
    flow: AccessFlow | None,
    like: AccessFlow | None = None,
) -> HttpResponse:
    context = {"form": form, "flow": flow, "like": like, **form_addresses(flow)}
    status = 422 if form.errors else 200
    return render(request, "accessflows/flow_form.html", context, status=status)
