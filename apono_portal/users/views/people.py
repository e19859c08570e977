"""The Users tab: who is here, adding, changing, deactivating, resetting MFA."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.users import services
from apono_portal.users.directory import page_of, rows_of, span_of
from apono_portal.users.exceptions import PersonRefused
from apono_portal.users.forms import NewPersonForm, PeopleFilterForm, PersonForm, ResetMfaForm
from apono_portal.users.models import User
from apono_portal.users.selectors import known_of, live_requests_of
from mfa.decorators import mfa_required_if_enrolled
from mfa.exceptions import MfaError, WindowClosed
from mfa.models import Authenticator


@readers_only
@require_GET
def people_list(request: HttpRequest) -> HttpResponse:
    filters = PeopleFilterForm(request.GET)
    asked = filters.asked
    place = filters.cleaned_data
    page = page_of(asked, before=place.get("before"), after=place.get("after"))
    known = known_of([person.pk for person in page.people], timezone.now())
    context = {
        "page": page,
        "rows": rows_of(page.people, known),
        "filters": filters,
        "span": span_of(page),
        "may_change": request.user.is_account_admin,  # type: ignore[union-attr]
    }
    return render(request, "users/list.html", context)


@admins_only
@mfa_required_if_enrolled
@never_cache
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    form = NewPersonForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            user = services.create_user(**action_context(request), **form.cleaned_data)
        except PersonRefused as refused:
            form.add_error(refused.field or None, refused.sentence)
        else:
            return _invite(request, user)
    return _form_page(request, form, person=None)


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    initial = {"name": person.name, "role": person.role, "groups": person.groups.all()}
    form = PersonForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        try:
            services.change_user(**action_context(request), user=person, **form.cleaned_data)
        except PersonRefused as refused:
            form.add_error(refused.field or None, refused.sentence)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return redirect("users:list")
    return _form_page(request, form, person=person)


@admins_only
@mfa_required_if_enrolled
@never_cache
@require_POST
def invite(request: HttpRequest, pk: int) -> HttpResponse:
    return _invite(request, get_object_or_404(User, pk=pk, is_active=True))


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def deactivate(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    if request.method == "GET":
        context = {"person": person, "live": live_requests_of(person).count()}
        return render(request, "users/deactivate.html", context)
    try:
        services.deactivate_user(**action_context(request), user=person)
    except PersonRefused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, f"{person.name} is deactivated. Sessions and access have ended.")
    return redirect("users:list")


@admins_only
@mfa_required_if_enrolled
@require_POST
def reactivate(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    services.reactivate_user(**action_context(request), user=person)
    messages.success(request, f"{person.name} can sign in again.")
    return redirect("users:list")


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def reset_mfa(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    form = ResetMfaForm(request.POST if request.method == "POST" else None)
    if not Authenticator.objects.confirmed().filter(user=person).exists():
        messages.info(request, f"{person.name} has not set up MFA, so there is nothing to reset.")
        return redirect("users:list")
    if form.is_bound and form.is_valid():
        try:
            services.reset_mfa_of_user(**action_context(request), user=person, **form.cleaned_data)
            return _after_reset(request, person)
        except WindowClosed:
            raise
        except MfaError as refused:
            form.add_error(None, str(refused))
    context = {"person": person, "form": form, "live": live_requests_of(person).count()}
    status = 422 if form.errors else 200
    return render(request, "users/reset_mfa.html", context, status=status)


@admins_only
@mfa_required_if_enrolled
@require_POST
def remind(request: HttpRequest) -> HttpResponse:
    """Remind everybody without MFA, at one click."""
    try:
        count, more = services.remind_of_mfa(**action_context(request))
    except PersonRefused as refused:
        messages.error(request, refused.sentence)
        return redirect("users:list")
    if count:
        people = "1 person is" if count == 1 else f"{count:,} people are"
        rest = " Others are left: remind again for the next." if more else ""
        messages.success(request, f"{people} being reminded by mail to set up MFA.{rest}")
    else:
        messages.info(request, "Nobody to remind: all have MFA, or were reminded within a day.")
    return redirect("users:list")


def _after_reset(request: HttpRequest, person: User) -> HttpResponse:
    if person == request.user:  # this session has ended with the others
        messages.success(request, "Your MFA is reset. Sign in, and set it up again.")
        return redirect("users:sign_in")
    messages.success(
        request, f"MFA of {person.name} is reset. All sessions of {person.name} have ended."
    )
    return redirect("users:list")


def _invite(request: HttpRequest, person: User) -> HttpResponse:
    """Say that the link is under way, or show it this once."""
    invitation = services.invite_user(**action_context(request), user=person)
    if invitation.mailed:
        messages.success(request, f"A link to set a password is on its way to {person.email}.")
        return redirect("users:list")
    return render(
        request, "users/invited.html", {"person": person, "password_link": invitation.link}
    )


def _form_page(request: HttpRequest, form: PersonForm, *, person: User | None) -> HttpResponse:
    context = {"form": form, "person": person}
    return render(request, "users/form.html", context, status=422 if form.errors else 200)
