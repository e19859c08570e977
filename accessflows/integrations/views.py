"""Integrations: the list, the form, one integration, and the progress of its checks and canaries."""

import secrets
from dataclasses import fields

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accessflows.acting import action_context
from accessflows.connectors.kinds import ConnectorKind, Keeper
from accessflows.connectors.protocol import SETTING
from accessflows.connectors.registry import POSTGRESQL, find_kind, kind_named, kinds
from accessflows.exceptions import InvalidInput, Refused
from accessflows.flows.selectors import flows_using, integration_rows
from accessflows.form_fields import add_refusal
from accessflows.integrations import services
from accessflows.integrations.canaries import request_canary
from accessflows.integrations.checks import request_check
from accessflows.integrations.forms import (
    CanaryForm,
    IntegrationForm,
    SecretForm,
)
from accessflows.integrations.health import health_history
from accessflows.models import CanaryRun, CheckRun, Integration
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest

PAGE_SIZE = 50
BROKER_PASSWORD_BYTES = 24
RECENT_RUNS = 5


@readers_only
@require_GET
def integration_list(request: PortalRequest) -> HttpResponse:
    page = Paginator(integration_rows(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "accessflows/integration_list.html", {"page": page})


@readers_only
@require_GET
def detail(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    context = {
        "integration": integration,
        "kind": integration.connector_kind,
        "kind_settings": _settings_of(integration),
        "health_history": health_history(integration),
        "resources": integration.resources.order_by("name"),
        "permissions": integration.permissions.order_by("name"),
        "canary_form": CanaryForm(integration=integration),
        "check_runs": integration.check_runs.all()[:RECENT_RUNS],
        "canary_runs": integration.canary_runs.all()[:RECENT_RUNS],
        "flows": flows_using(integration).order_by("name"),
        "drifts": integration.drifts.filter(resolved_at=None),
    }
    return render(request, "accessflows/integration_detail.html", context)


@admins_only
@require_http_methods(["GET", "POST"])
@never_cache
def create(request: PortalRequest) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    kind = find_kind((data or request.GET).get("kind", "")) or kind_named(POSTGRESQL)
    form = IntegrationForm(data, kind=kind)
    if form.is_bound and form.is_valid():
        try:
            integration = services.create_integration(**action_context(request), terms=form.terms())
        except InvalidInput as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, f"{integration.name} was added and is being checked.")
            run = request_check(**action_context(request), integration=integration)
            return redirect("integrations:check_run", pk=integration.pk, run_pk=run.pk)
    return _form_page(request, form, kind=kind, integration=None)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    data = request.POST if request.method == "POST" else None
    kind = find_kind(integration.kind)
    if kind is None:
        messages.error(request, f"The connector “{integration.kind}” is not installed.")
        return redirect("integrations:detail", pk=pk)
    form = IntegrationForm(data, kind=kind, integration=integration)
    if form.is_bound and form.is_valid():
        try:
            services.change_integration(
                **action_context(request),
                integration=integration,
                terms=form.terms(),
                seen=form.cleaned_data["seen"],
            )
        except Refused as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, "Integration saved. It is being checked.")
            run = request_check(**action_context(request), integration=integration)
            return redirect("integrations:check_run", pk=pk, run_pk=run.pk)
    return _form_page(request, form, kind=kind, integration=integration)


@admins_only
@require_http_methods(["GET", "POST"])
def replace_secret(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = SecretForm(request.POST if request.method == "POST" else None, integration=integration)
    if form.is_bound and form.is_valid():
        try:
            services.replace_secret(
                **action_context(request), integration=integration, **form.cleaned_data
            )
        except InvalidInput as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, "The target accepted it. The old one was deleted.")
            return redirect("integrations:detail", pk=pk)
    context = {"form": form, "integration": integration}
    status = 422 if form.errors else 200
    return render(request, "accessflows/integration_secret.html", context, status=status)


@admins_only
@require_POST
def enable(request: PortalRequest, pk: int) -> HttpResponse:
    return _set_active(request, pk, is_active=True)


@admins_only
@require_http_methods(["GET", "POST"])
def disable(request: PortalRequest, pk: int) -> HttpResponse:
    if request.method == "POST":
        return _set_active(request, pk, is_active=False)
    integration = get_object_or_404(Integration, pk=pk)
    return render(request, "accessflows/integration_disable.html", {"integration": integration})


@admins_only
@require_POST
def check(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    try:
        run = request_check(**action_context(request), integration=integration)
    except Refused as refused:
        messages.info(request, refused.sentence)
        return redirect("integrations:detail", pk=pk)
    return redirect("integrations:check_run", pk=pk, run_pk=run.pk)


@readers_only
@require_GET
@never_cache
def check_run(request: PortalRequest, pk: int, run_pk: int) -> HttpResponse:
    runs = CheckRun.objects.select_related("integration")
    run = get_object_or_404(runs, pk=run_pk, integration=pk)
    token = f"{run.state}-{len(run.steps)}-{run.read}" if run.is_open else ""
    context = {
        "run": run,
        "integration": run.integration,
        "progress_token": token,
        "failed_steps": [step for step in run.steps if not step["ok"]],
        "passed_steps": [step for step in run.steps if step["ok"]],
        "has_flows": flows_using(run.integration).exists(),
    }
    return render(request, "accessflows/check_run.html", context)


@admins_only
@require_POST
def run_canary(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = CanaryForm(request.POST, integration=integration)
    if not form.is_valid():
        messages.error(request, "Choose a resource and a permission that still exist.")
        return redirect("integrations:detail", pk=pk)
    try:
        run = request_canary(
            **action_context(request), integration=integration, **form.cleaned_data
        )
    except Refused as refused:
        messages.error(request, refused.sentence)
        return redirect("integrations:detail", pk=pk)
    return redirect("integrations:canary", pk=pk, run_pk=run.pk)


@readers_only
@require_GET
@never_cache
def canary(request: PortalRequest, pk: int, run_pk: int) -> HttpResponse:
    runs = CanaryRun.objects.select_related("integration")
    run = get_object_or_404(runs, pk=run_pk, integration=pk)
    token = f"{run.state}-{len(run.steps)}" if run.is_open else ""
    context = {"run": run, "integration": run.integration, "progress_token": token}
    return render(request, "accessflows/canary.html", context)


def _set_active(request: PortalRequest, pk: int, *, is_active: bool) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    services.set_integration_active(
        **action_context(request), integration=integration, is_active=is_active
    )
    effect = (
        "enabled. Flows grant access on it again."
        if is_active
        else "disabled. No new access is granted on it, and active access is being revoked."
    )
    messages.success(request, f"{integration.name} is {effect}")
    return redirect("integrations:detail", pk=pk)


def _settings_of(integration: Integration) -> list[tuple[str, object]]:
    """Return the settings that the integration's kind declares, with their labels."""
    settings = integration.target_settings
    return [
        (field.metadata[SETTING].label, getattr(settings, field.name)) for field in fields(settings)
    ]


def _form_page(
    request: PortalRequest,
    form: IntegrationForm,
    *,
    kind: ConnectorKind,
    integration: Integration | None,
) -> HttpResponse:
    context: dict[str, object] = {"form": form, "integration": integration, "kind": kind}
    if integration is None:
        context |= {"kinds": list(kinds().values()), "keepers": list(Keeper)}
    if integration is None and not form.is_bound and not kind.uses_url:
        password = secrets.token_urlsafe(BROKER_PASSWORD_BYTES)
        form.fill_broker(kind.default_broker, password)
        context["set_up"] = kind.set_up(kind.default_broker, password)
    status = 422 if form.errors else 200
    return render(request, "accessflows/integration_form.html", context, status=status)
