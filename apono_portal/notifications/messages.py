"""What notices say: what happened, and what to do next. Links lead to pages and do nothing."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format

from apono_portal.core.formatting.datetimes import person
from apono_portal.core.formatting.durations import format_duration
from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.notifications.kinds import Kind
from apono_portal.notifications.notification import NAMED, Notification
from audit.events import EventName
from audit.models import Event
from requests_app.models import AccessRequest
from requests_app.presenters.request import title_of

LONGEST_QUOTE = 300


@dataclass(frozen=True)
class Words:
    """``subject`` stands alone in a chat, with ``url``; ``paragraphs`` follow it in a mail."""

    subject: str
    paragraphs: list[str]
    url: str


def words_for(news: Notification, kind: Kind) -> Words:
    """Return the words for somebody who is told of news as that kind."""
    return _WORDS[kind](news)


def instant(at: datetime | None) -> str:
    """A mail is read later, so the day and the zone are always said."""
    return date_format(timezone.localtime(at), "j F Y, H:i e") if at else "an unknown time"


def quoted(text: str) -> str:
    """Return what a person typed as a short quotation, its links broken: anybody may have typed it."""
    line = textwrap.shorten(" ".join(text.split()), LONGEST_QUOTE, placeholder=" …")
    return f"“{line.replace('://', ':// ')}”" if line else ""


def evidence_sentence(request: AccessRequest) -> str:
    if not request.require_mfa:
        return "The flow asks for no MFA."
    if request.verified_at is None:
        return "MFA was not verified yet."
    where = f" from {request.verified_from}" if request.verified_from else ""
    when = instant(request.verified_at)
    return (
        f"{person(request.requester_label)} verified with {request.verified_with}{where} on {when}."
    )


def _page_of(request: AccessRequest) -> str:
    return absolute_url("requests:detail", request.pk)


def _asks(news: Notification) -> Words:
    request = news.subject_request
    who = person(request.requester_label)
    title, lasts = title_of(request), format_duration(request.duration)
    wanted = "\n".join(f"  {target}" for target in request.targets.all())
    return Words(
        f"{request.reference} needs your decision: {who}, {title}, {lasts}",
        [
            f"{who} asks for this through {request.flow_name}, for {lasts}:",
            wanted,
            quoted(request.justification),
            evidence_sentence(request),
            f"It waits until {instant(request.pending_until)} and lapses then.",
        ],
        absolute_url("requests:decide", request.pk),
    )


def _passed_on(news: Notification) -> Words:
    words = _asks(news)
    passed_on = (
        "Nobody has decided in time, so it was passed on to further approvers, you among them."
    )
    return Words(words.subject, [passed_on, *words.paragraphs], words.url)


def _handled(news: Notification) -> Words:
    request = news.subject_request
    who = _actor(news.event)
    done = {
        EventName.REQUEST_APPROVE.value: f"{who} has approved it.",
        EventName.REQUEST_REJECT.value: f"{who} has rejected it.",
    }.get(news.event.event, f"It was cancelled by {who}.")
    return Words(
        f"{request.reference} needs no decision any more",
        [done, "Nothing is left for you to do."],
        _page_of(request),
    )


def _code_needed(news: Notification) -> Words:
    request = news.subject_request
    until = instant(request.pending_until)
    return Words(
        f"{request.reference} waits for a code",
        [
            news.reason,
            f"Sign in and enter a code by {until}; the request goes on then. Nothing typed is lost.",
        ],
        absolute_url("requests:step_up"),
    )


def _decided(news: Notification) -> Words:
    request = news.subject_request
    who, title = _actor(news.event), title_of(request)
    if news.event.event == EventName.REQUEST_APPROVE:
        return Words(
            f"{request.reference} was approved: {title}",
            [f"{who} has approved it.", quoted(news.reason), "Access is being opened now."],
            _page_of(request),
        )
    return Words(
        f"{request.reference} was rejected: {title}",
        [
            f"{who} has rejected it. No access was opened.",
            quoted(news.reason),
            f"If you still need it, ask again with what {who} missed.",
        ],
        _page_of(request),
    )


def _closed(news: Notification) -> Words:
    request = news.subject_request
    lapsed = news.event.event == EventName.REQUEST_LAPSE
    by = "" if lapsed or news.event.actor_id is None else f" by {_actor(news.event)}"
    return Words(
        f"{request.reference} {'lapsed' if lapsed else 'was cancelled'}{by}: {title_of(request)}",
        [news.reason, "No access was opened. If you still need it, ask again."],
        _page_of(request),
    )


def _open(news: Notification) -> Words:
    request = news.subject_request
    approvers = [person(each.approver_label) for each in request.decisions.all()]
    by = f"Approved by {', '.join(approvers)}." if approvers else ""
    return Words(
        f"{request.reference} is open until {instant(_until(news))}: {title_of(request)}",
        [by, "The credential is on the request's page. It is shown once."],
        _page_of(request),
    )


def _extended(news: Notification) -> Words:
    request = news.subject_request
    return Words(
        f"{request.reference} was extended until {instant(_until(news))}: {title_of(request)}",
        [f"By {_actor(news.event)}. The credential stays the same."],
        _page_of(request),
    )


def _ends_soon(news: Notification) -> Words:
    request = news.subject_request
    return Words(
        f"{request.reference} ends on {instant(_until(news))}: {title_of(request)}",
        [
            "Sessions that are open then are cut. Save what you are working on.",
            "The request's page says whether it can be extended.",
        ],
        _page_of(request),
    )


def _ended(news: Notification) -> Words:
    request = news.subject_request
    revoked = news.event.event == EventName.REQUEST_REVOKE
    why = request.message if revoked else "Its time was up."
    by = f"Ended by {person(request.end_asked_by_label)}." if request.end_asked_by_label else ""
    return Words(
        f"{request.reference} has ended: {title_of(request)}",
        [
            " ".join(filter(None, [by, why])),
            "The portal has looked: nothing is left on the target.",
        ],
        _page_of(request),
    )


def _failed(news: Notification) -> Words:
    request = news.subject_request
    return Words(
        f"{request.reference} could not be opened: {title_of(request)}",
        [news.reason, "You have no access through it. Ask again, or tell an account admin."],
        _page_of(request),
    )


def _stuck(news: Notification) -> Words:
    return Words(
        f"An end is held up: {news.event.request_label}, {news.event.target_label}",
        [
            news.reason,
            "Access that should have ended may still be usable. The portal goes on trying.",
            "Look after the target, or cut the login there by hand.",
        ],
        absolute_url("requests:detail", news.event.request_id)
        if news.event.request_id
        else absolute_url("integrations:list"),
    )


def _drift(news: Notification) -> Words:
    events = [news.event, *news.also]
    where = str(news.told.get("integration") or news.event.target_label)
    if news.event.event == EventName.GRANT_CUT_UNKNOWN:
        subject = f"Unknown login removed from {where}"
        said = "It bore the portal's marker, nobody knew it, and its end had passed."
    else:
        subject, said = f"Logins on {where} differ", ""
    lines = [
        f"{each.metadata.get('login')}: {each.metadata.get('reason', '')}".rstrip(": ")
        for each in events
    ]
    more = f"And {len(lines) - NAMED} more." if len(lines) > NAMED else ""
    return Words(subject, [said, *lines[:NAMED], more], absolute_url("integrations:list"))


def _target(news: Notification) -> Words:
    failed = ", ".join(map(str, news.told.get("failed") or [])) or "its checks"  # type: ignore[call-overload]
    return Words(
        f"Integration {news.event.target_label} needs attention",
        [
            f"What does not hold: {failed}.",
            "Its page has a red line for each, with what mends it.",
        ],
        absolute_url("integrations:detail", news.event.target_id),
    )


def _security(news: Notification) -> Words:
    event = news.event
    whose = f": {event.target_label or event.actor_label}"
    return Words(f"{event.get_event_display()}{whose}", [], absolute_url("audit:list"))


def _test(news: Notification) -> Words:
    return Words(
        f"{settings.PORTAL_NAME} can post here", [], absolute_url("notifications:webhooks")
    )


def _actor(event: Event) -> str:
    return person(event.actor_label) if event.actor_id else "the portal"


def _until(news: Notification) -> datetime | None:
    return parse_datetime(str(news.told.get("until") or "")) or news.subject_request.ends_at


_WORDS: dict[Kind, Callable[[Notification], Words]] = {
    Kind.DECISION_NEEDED: _asks,
    Kind.ESCALATED: _passed_on,
    Kind.HANDLED: _handled,
    Kind.CODE_NEEDED: _code_needed,
    Kind.DECIDED: _decided,
    Kind.CLOSED: _closed,
    Kind.ACTIVE: _open,
    Kind.EXTENDED: _extended,
    Kind.ENDS_SOON: _ends_soon,
    Kind.ENDED: _ended,
    Kind.FAILED: _failed,
    Kind.STUCK: _stuck,
    Kind.DRIFT: _drift,
    Kind.TARGET: _target,
    Kind.SECURITY: _security,
    Kind.TEST: _test,
}
