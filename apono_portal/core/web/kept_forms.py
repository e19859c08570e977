"""Words of a form that arrived without its session: kept until the same user has signed in again.

A form that asks for words names its user and its page in a signed field, ``{% keep_form %}``. If it arrives
after the session has ended, its words are kept in the server-side session of that browser for a quarter of
an hour. The page then shows them in the form, for that user only; nothing is submitted. No other fields are
kept: never a code, a password or a key.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.contrib import messages
from django.core import signing
from django.http import HttpRequest
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html

register = template.Library()

FIELD = "kept_form"
SESSION_KEY = "kept_form"
WORDS = ("justification", "ticket", "reason", "note")
MAX_LENGTH = 4000  # of each; more than any of them may have
LIFETIME = timedelta(minutes=15)
_SALT = "core.kept_forms"
_MAX_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class KeptForm:
    """What was typed, by whom, and on which page."""

    user_id: int
    page: str
    words: dict[str, str]
    kept_at: str

    @property
    def is_in_time(self) -> bool:
        age = timezone.now() - datetime.fromisoformat(self.kept_at)
        return timedelta(0) <= age < LIFETIME


@register.simple_tag(takes_context=True)
def keep_form(context: Context, page: str = "") -> str:
    """Return the field of a form whose words are kept. ``page`` shows the form; by default this one does."""
    request: HttpRequest = context["request"]
    value = [request.user.pk, page or request.get_full_path()]
    return format_html(
        '<input type="hidden" name="{}" value="{}">', FIELD, signing.dumps(value, salt=_SALT)
    )


def keep_words(request: HttpRequest) -> str:
    """Keep the words of a form of somebody who has to sign in, and return the page of the form.

    Returns "" if there are none, or if the form belongs to another user than the one signed in.
    """
    try:
        value = signing.loads(request.POST.get(FIELD, ""), salt=_SALT, max_age=_MAX_AGE)
        user_id, page = int(value[0]), str(value[1])
    except (signing.BadSignature, ValueError, TypeError, LookupError):
        return ""
    words = {name: request.POST[name][:MAX_LENGTH] for name in WORDS if request.POST.get(name)}
    if not words or (request.user.is_authenticated and request.user.pk != user_id):
        return ""
    if request.GET and urlsplit(page).path == request.path:
        page = request.get_full_path()  # where a script has put what was selected since
    form = KeptForm(user_id, page, words, timezone.now().isoformat())
    request.session[SESSION_KEY] = asdict(form)
    return page


def kept_words(request: HttpRequest, *names: str) -> dict[str, str]:
    """Return what the user typed into the form of this page, for the fields with these names."""
    form = _kept_form(request)
    if form is None or request.method == "POST" or urlsplit(form.page).path != request.path:
        return {}
    words = {name: form.words[name] for name in names if name in form.words}
    if words:
        messages.info(request, "This is what you typed before. Check it, then send the form again.")
    return words


def forget_words(request: HttpRequest) -> None:
    """Forget what is kept, once the user has sent the form."""
    if SESSION_KEY in request.session and FIELD in request.POST:
        del request.session[SESSION_KEY]


def forget_words_of_others(request: HttpRequest) -> None:
    """Forget what somebody else typed, once another user has signed in."""
    if SESSION_KEY in request.session and _kept_form(request) is None:
        del request.session[SESSION_KEY]


def _kept_form(request: HttpRequest) -> KeptForm | None:
    value: Any = request.session.get(SESSION_KEY)
    try:
        form = KeptForm(**value)
    except TypeError:
        return None
    return form if form.user_id == request.user.pk and form.is_in_time else None
