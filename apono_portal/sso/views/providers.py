"""Identity providers: the list, one provider, its test, and the break-glass admin."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso import services
from apono_portal.sso.authorization import TEST, begin
from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.forms import BreakGlassForm, DomainForm, MappingForm, ProviderForm
from apono_portal.sso.models import IdentityProvider
from apono_portal.sso.trial import show_failure, test_of


@admins_only
@require_safe
def provider_list(request: PortalRequest) -> HttpResponse:
    providers = IdentityProvider.objects.prefetch_related("domains")
    context = {"providers": providers, "break_glass_form": BreakGlassForm()}
    return render(request, "sso/list.html", context)


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    form = ProviderForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            provider = services.create_provider(
                **action_context(request), data=form.provider_input()
            )
        except SsoError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Added {provider}. Register its redirect address next.")
            return redirect("sso:detail", pk=provider.pk)
    return _form_page(request, form, None)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    provider = get_object_or_404(IdentityProvider, pk=pk)
    form = ProviderForm(request.POST if request.method == "POST" else None, provider=provider)
    if form.is_bound and form.is_valid():
        try:
            services.change_provider(
                **action_context(request),
                provider=provider,
                data=form.provider_input(),
                seen=form.cleaned_data["seen"],
            )
        except SsoError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Saved {form.provider_input().name}.")
            return redirect("sso:detail", pk=provider.pk)
    return _form_page(request, form, provider)


@admins_only
@require_safe
def detail(request: PortalRequest, pk: int) -> HttpResponse:
    return detail_page(request, get_object_or_404(IdentityProvider, pk=pk))


@admins_only
@require_http_methods(["GET", "POST"])
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    provider = get_object_or_404(IdentityProvider, pk=pk)
    if request.method == "POST":
        services.delete_provider(**action_context(request), provider=provider)
        messages.success(request, f"Deleted {provider}.")
        return redirect("sso:list")
    context = {"provider": provider, "users": provider.identities.count()}
    return render(request, "sso/delete.html", context)


@admins_only
@require_GET
def test(request: PortalRequest, pk: int) -> HttpResponse:
    """Sign in at the provider to see what it sends. Changes nothing here."""
    provider = get_object_or_404(IdentityProvider, pk=pk)
    try:
        return HttpResponseRedirect(begin(request, provider, purpose=TEST))
    except SsoError as error:
        return show_failure(request, provider, error)


@admins_only
@require_POST
def break_glass(request: PortalRequest) -> HttpResponse:
    form = BreakGlassForm(request.POST)
    if form.is_valid():
        try:
            services.choose_break_glass_admin(**action_context(request), **form.cleaned_data)
            messages.success(request, "Saved the break-glass admin.")
        except SsoError as error:
            messages.error(request, error.sentence)
    else:
        messages.error(request, "Choose an active admin.")
    return redirect("sso:list")


def detail_page(
    request: PortalRequest,
    provider: IdentityProvider,
    *,
    domain_form: DomainForm | None = None,
    mapping_form: MappingForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "provider": provider,
        "domains": provider.domains.all(),
        "mappings": provider.mappings.select_related("group"),
        "test": test_of(request, provider),
        "domain_form": domain_form or DomainForm(),
        "mapping_form": mapping_form or MappingForm(),
    }
    return render(request, "sso/detail.html", context, status=status)


def _form_page(
    request: PortalRequest, form: ProviderForm, provider: IdentityProvider | None
) -> HttpResponse:
    context = {"form": form, "provider": provider}
    return render(request, "sso/form.html", context, status=422 if form.errors else 200)
