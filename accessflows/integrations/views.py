"""Integrations: the list, the form, one integration with its health and what it offers."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accessflows.acting import action_context
from accessflows.exceptions import InvalidInput
from accessflows.flows.selectors import flows_using, integration_rows
from accessflows.form_fields import add_refusal
from accessflows.integrations.checks import request_check
from accessflows.integrations.forms import (
    CanaryForm,
    IntegrationForm,
    SecretForm,
    WebhookForm,
    integration_form_for,
)
from accessflows.integrations.services import (
    change_integration,
    create_integration,
    set_integration_active,
)
from accessflows.integrations.services import replace_secret as replace_secret_service
from accessflows.models import Integration
from apono_portal.core.web.permissions import admins_only, readers_only
from mfa.decorators import mfa_required_if_enrolled

PAGE_SIZE = 50


@readers_only
@require_GET
def integration_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(integration_rows(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "accessflows/integration_list.html", {"page": page})


@readers_only
@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    context = {
        "integration": integration,
        "resources": integration.resources.order_by("name"),
        "permissions": integration.permissions.order_by("name"),
        "canary_form": CanaryForm(integration=integration),
        "check_runs": integration.check_runs.all()[:5],
        "canary_runs": integration.canary_runs.all()[:5],
        "flows": flows_using(integration).order_by("name"),
        "drifts": integration.drifts.filter(over_at=None),
    }
    return render(request, "accessflows/integration_detail.html", context)


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    typed = request.POST if request.method == "POST" else None
    form = integration_form_for((typed or request.GET).get("kind", ""))(typed)
    if form.is_bound and form.is_valid():
        try:
            integration = create_integration(**action_context(request), terms=form.terms())
        except InvalidInput as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, f"{integration.name} is added, and being checked.")
            run = request_check(**action_context(request), integration=integration)
            return redirect("integrations:check_run", pk=integration.pk, run_pk=run.pk)
    return _form_page(request, form, integration=None)


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = integration_form_for(integration.kind)(
        request.POST if request.method == "POST" else None, integration=integration
    )
    if form.is_bound and form.is_valid():
        try:
            change_integration(
                **action_context(request), integration=integration, terms=form.terms()
            )
        except InvalidInput as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, "Integration saved.")
            return redirect("integrations:detail", pk=pk)
    return _form_page(request, form, integration=integration)


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def replace_secret(request: HttpRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = SecretForm(request.POST if request.method == "POST" else None, integration=integration)
    if form.is_bound and form.is_valid():
        try:
            replace_secret_service(
                **action_context(request), integration=integration, **form.cleaned_data
            )
        except InvalidInput as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, "The target took it. It is sealed, and the old one is gone.")
            return redirect("integrations:detail", pk=pk)
    context = {"form": form, "integration": integration}
    status = 422 if form.errors else 200
    return render(request, "accessflows/integration_secret.html", context, status=status)


@admins_only
@mfa_required_if_enrolled
@require_POST
def enable(request: HttpRequest, pk: int) -> HttpResponse:
    return _switch(request, pk, is_active=True)


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def disable(request: HttpRequest, pk: int) -> HttpResponse:
    if request.method == "POST":
        return _switch(request, pk, is_active=False)
    integration = get_object_or_404(Integration, pk=pk)
    return render(request, "accessflows/integration_disable.html", {"integration": integration})


def _switch(request: HttpRequest, pk: int, *, is_active: bool) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    set_integration_active(**action_context(request), integration=integration, is_active=is_active)
    effect = (
        "enabled. Flows give access there again."
        if is_active
        else "disabled. No new access is given there, and what is open is being ended."
    )
    messages.success(request, f"{integration.name} is {effect}")
    return redirect("integrations:detail", pk=pk)


def _form_page(
    request: HttpRequest, form: IntegrationForm | WebhookForm, *, integration: Integration | None
) -> HttpResponse:
    return render(
        request,
        "accessflows/integration_form.html",
        {
            "form": form,
            "integration": integration,
            "is_webhook": isinstance(form, WebhookForm),
        },
        status=422 if form.errors else 200,
    )
