"""Domains and mappings of a provider."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso import services
from apono_portal.sso.enforcement import users_locked_out_by
from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.forms import ChangeDomainForm, DomainForm, MappingForm
from apono_portal.sso.models import ClaimMapping, IdentityProvider, SignInDomain
from apono_portal.sso.views.providers import detail_page

SHOWN_USERS = 10


@admins_only
@require_POST
def add_domain(request: PortalRequest, pk: int) -> HttpResponse:
    provider = get_object_or_404(IdentityProvider, pk=pk)
    form = DomainForm(request.POST)
    if form.is_valid():
        try:
            domain = services.add_domain(
                **action_context(request), provider=provider, **form.cleaned_data
            )
            return redirect("sso:edit_domain", pk=domain.pk)
        except SsoError as error:
            form.add_error(error.field or None, error.sentence)
    return detail_page(request, provider, domain_form=form, status=422)


@admins_only
@require_http_methods(["GET", "POST"])
def edit_domain(request: PortalRequest, pk: int) -> HttpResponse:
    domain = get_object_or_404(SignInDomain.objects.select_related("provider"), pk=pk)
    data = request.POST if request.method == "POST" else None
    form = ChangeDomainForm(data, domain=domain)
    if form.is_bound and form.is_valid():
        try:
            services.change_domain(**action_context(request), domain=domain, **form.cleaned_data)
        except SsoError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Saved {domain}.")
            return redirect("sso:detail", pk=domain.provider_id)
    locked_out = users_locked_out_by(domain)
    context = {
        "form": form,
        "domain": domain,
        "locked_out": locked_out[:SHOWN_USERS],
        "locked_out_count": locked_out.count(),
        "break_glass": services.break_glass_admins(),
    }
    return render(request, "sso/domain.html", context, status=422 if form.errors else 200)


@admins_only
@require_POST
def remove_domain(request: PortalRequest, pk: int) -> HttpResponse:
    domain = get_object_or_404(SignInDomain.objects.select_related("provider"), pk=pk)
    services.remove_domain(**action_context(request), domain=domain)
    messages.success(request, f"Removed {domain.domain}.")
    return redirect("sso:detail", pk=domain.provider_id)


@admins_only
@require_POST
def add_mapping(request: PortalRequest, pk: int) -> HttpResponse:
    provider = get_object_or_404(IdentityProvider, pk=pk)
    form = MappingForm(request.POST)
    if form.is_valid():
        try:
            services.add_mapping(
                **action_context(request),
                provider=provider,
                value=form.cleaned_data["value"],
                **form.group_and_role(),
            )
            messages.success(request, "Mapping added. It applies from each user's next sign-in.")
            return redirect("sso:detail", pk=provider.pk)
        except SsoError as error:
            form.add_error(error.field or None, error.sentence)
    return detail_page(request, provider, mapping_form=form, status=422)


@admins_only
@require_POST
def remove_mapping(request: PortalRequest, pk: int) -> HttpResponse:
    mapping = get_object_or_404(ClaimMapping.objects.select_related("provider", "group"), pk=pk)
    services.remove_mapping(**action_context(request), mapping=mapping)
    messages.success(request, "Mapping removed. It applies from each user's next sign-in.")
    return redirect("sso:detail", pk=mapping.provider_id)
