"""New Request, its review, Request again, and the page that says what was made."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accessflows.durations import parse_duration, spell
from audit.origin import Origin
from mfa.window import state_of, stored_window
from requests_app.exceptions import RequestRefused
from requests_app.forms import WishForm
from requests_app.models import AccessRequest, Status
from requests_app.outlook import Outlook, outlook_of, seal_of
from requests_app.policies import may_ask_again
from requests_app.presentation import moving_mark, rows_of
from requests_app.prospects import Asking, Words, prospect_of
from requests_app.selectors import own_requests
from requests_app.services import submit_requests
from requests_app.templatetags.moments import moment
from requests_app.views.answers import to_code
from requests_app.wishes import MOST_TARGETS, Wish, shelf_of, wish_again, wish_of

USUAL_DURATION = "1h"
USUAL_DURATIONS = ("30 min", "1 h", "2 h", "4 h", "8 h")


@require_http_methods(["GET", "HEAD", "POST"])
def new_request(request: HttpRequest) -> HttpResponse:
    """Choose and send. Without script a review page comes between the two."""
    sent = request.method == "POST"
    data = request.POST if sent else request.GET
    wish = wish_of(request.user, data.getlist("target"))
    if not sent:
        told = {
            "duration": data.get("duration") or USUAL_DURATION,
            "ticket": data.get("ticket", ""),
        }
        form = WishForm(initial=told)
        return _choose_or_review(request, wish, form, status=200)
    form = WishForm(data, wants_words=_wants_words(wish))
    _refuse_wish(form, wish)
    if form.is_valid():
        askings = wish.askings(form.cleaned_data["duration"])
        if len(askings) > 1 and data.get("seen") != seal_of(askings):
            return _review(request, wish, form, status=200)
        if answer := _send(request, form, askings):
            return answer
    return _choose_or_review(request, wish, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the same once more: only the reason is new, and all is judged anew."""
    found = own_requests(request.user).filter(pk=pk).first()
    if found is None:
        raise Http404
    if not may_ask_again(found, request.user):
        return redirect("requests:detail", pk=pk)
    wish = wish_again(found)
    duration = min([found.duration, *(flow.max_duration for flow in wish.flows)])
    told = {"duration": spell(duration), "ticket": found.ticket}
    if request.method != "POST":
        return _review(request, wish, WishForm(initial=told), status=200, again=found)
    said = {name: request.POST.get(name, "") for name in ("justification", "ticket")}
    form = WishForm(told | said, wants_words=_wants_words(wish))
    _refuse_wish(form, wish)
    if form.is_valid() and (answer := _send(request, form, wish.askings(duration))):
        return answer
    return _review(request, wish, form, status=422, again=found)


@require_GET
def made(request: HttpRequest) -> HttpResponse:
    """List the requests that were made at once."""
    numbers = [text for text in request.GET.getlist("of") if text.isascii() and text.isdigit()]
    pks = [int(text) for text in numbers[:MOST_TARGETS] if len(text) <= 18]
    found = list(own_requests(request.user).filter(pk__in=pks).order_by("pk")) if pks else []
    if not found:
        raise Http404
    context = {
        "rows": rows_of(found, request.user, timezone.now()),
        "moving": moving_mark(found),
        "parked": sum(each.status == Status.PENDING_MFA for each in found),
    }
    return render(request, "requests_app/submitted.html", context)


def _wants_words(wish: Wish) -> bool:
    return any(flow.require_justification for flow in wish.flows) or not wish.flows


def _refuse_wish(form: WishForm, wish: Wish) -> None:
    if wish.error or not wish.targets:
        form.add_error(None, wish.error or "Choose what you need.")


def _send(request: HttpRequest, form: WishForm, askings: list[Asking]) -> HttpResponse | None:
    asked = form.cleaned_data
    try:
        found = submit_requests(
            actor=request.user,
            askings=askings,
            words=Words(asked["justification"], asked["ticket"]),
            window=stored_window(request),
            origin=Origin.of(request),
        )
    except RequestRefused as refused:
        form.refuse(refused)
        return None
    return _lead_on(request, found)


def _lead_on(request: HttpRequest, found: list[AccessRequest]) -> HttpResponse:
    parked = [each for each in found if each.status == Status.PENDING_MFA]
    names = ", ".join(each.reference for each in parked)
    if parked and not state_of(request).enrolled:
        verb = "is" if len(parked) == 1 else "are"
        until = moment(parked[0].pending_until)
        sentence = f"{names} {verb} parked until {until}. Set up MFA, then enter a code."
        messages.warning(request, sentence)
    if len(found) == 1:
        return _lead_on_with(request, found[0])
    listed = f"{resolve_url('requests:made')}?{urlencode([('of', each.pk) for each in found])}"
    if parked:
        return to_code(request, listed)
    return redirect(listed)


def _lead_on_with(request: HttpRequest, only: AccessRequest) -> HttpResponse:
    if only.status == Status.PENDING_MFA:
        return to_code(request, resolve_url("requests:detail", pk=only.pk))
    said = {
        Status.PENDING_APPROVAL: f"{only.reference} was sent to its approvers.",
        Status.GRANTING: f"{only.reference} is being opened.",
    }
    messages.success(request, said[Status(only.status)])
    return redirect("requests:detail", pk=only.pk)


def _choose_or_review(
    request: HttpRequest, wish: Wish, form: WishForm, *, status: int
) -> HttpResponse:
    data = request.POST if request.method == "POST" else request.GET
    if data.get("step") == "review":
        if wish.targets and _duration_in(form) is not None:
            return _review(request, wish, form, status=status)
        if not form.is_bound:
            messages.warning(request, "Choose what you need, and for how long.")
    context = _context(request, wish, form) | {
        "shelf": shelf_of(request.user, data, wish),
        "most": MOST_TARGETS,
        "usual_durations": USUAL_DURATIONS,
    }
    return render(request, "requests_app/new_request.html", context, status=status)


def _review(
    request: HttpRequest,
    wish: Wish,
    form: WishForm,
    *,
    status: int,
    again: AccessRequest | None = None,
) -> HttpResponse:
    context = _context(request, wish, form) | {"again": again}
    return render(request, "requests_app/review_request.html", context, status=status)


def _context(request: HttpRequest, wish: Wish, form: WishForm) -> dict[str, Any]:
    duration = _duration_in(form)
    wish.read_approvers()
    askings = wish.askings(duration) if duration else []
    return {
        "form": form,
        "wish": wish,
        "outlooks": _outlooks(request, askings, duration or timedelta(0)),
        "seen": seal_of(askings) if askings else "",
        "choose": _address_of(wish, duration),
    }


def _address_of(wish: Wish, duration: timedelta | None) -> str:
    """The way back to choosing, with all that is chosen."""
    told = [("target", str(target.pk)) for target in wish.targets]
    told += [("duration", spell(duration))] if duration else []
    return f"{resolve_url('requests:new')}?{urlencode(told)}"


def _outlooks(request: HttpRequest, askings: list[Asking], wanted: timedelta) -> list[Outlook]:
    window, now = state_of(request), timezone.now()
    found = []
    for asking in askings:
        prospect = prospect_of(
            person=request.user, asking=asking, verified=window.is_open, words=None, now=now
        )
        less = asking.duration < wanted
        note = f"At most {spell(asking.duration)} through {asking.flow}." if less else ""
        found.append(outlook_of(prospect, request.user, window, now, note=note))
    return found


def _duration_in(form: WishForm) -> timedelta | None:
    """Return the duration as it stands in the form, None while it is none."""
    try:
        return parse_duration(str(form["duration"].value() or "")[:40])
    except ValueError:
        return None
