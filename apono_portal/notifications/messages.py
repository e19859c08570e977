"""The text of notifications: what happened and what to do next. Links open pages and do nothing."""

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
from apono_portal.notifications.notification import Notification
from audit.events import EventName
from audit.log.details import changes_of
from audit.models import Event
from requests_app.models import AccessRequest, BreakGlassReview
from requests_app.presenters.request import title_of

MAX_QUOTE_LENGTH = 300
MAX_DRIFT_LINES = 5


@dataclass(frozen=True)
class Message:
    """A chat gets ``subject`` and ``url``; an email also has the ``paragraphs``."""

    subject: str
    paragraphs: list[str]
    url: str


def message_for(notification: Notification, kind: Kind) -> Message:
    """Return the message for recipients who are notified under this kind."""
    return _MESSAGES[kind](notification)


def format_instant(at: datetime | None) -> str:
    """Return date, time and time zone: an email may be read days later."""
    return date_format(timezone.localtime(at), "j F Y, H:i e") if at else "an unknown time"


def quote(text: str) -> str:
    """Return what a user wrote as a short quotation with its links broken."""
    line = textwrap.shorten(" ".join(text.split()), MAX_QUOTE_LENGTH, placeholder=" …")
    return f"“{line.replace('://', ':// ')}”" if line else ""


def evidence_sentence(request: AccessRequest) -> str:
    if not request.require_mfa:
        return "The flow does not require MFA."
    if request.verified_at is None:
        return "MFA is not verified yet."
    address = f" from {request.verified_from}" if request.verified_from else ""
    requester, at = person(request.requester_label), format_instant(request.verified_at)
    return f"{requester} verified with {request.verified_with}{address} on {at}."


def _page_of(request: AccessRequest) -> str:
    return absolute_url("requests:detail", request.pk)


def _decision_needed(notification: Notification) -> Message:
    request = notification.subject_request
    requester, duration = person(request.requester_label), format_duration(request.duration)
    return Message(
        f"{request.reference} needs your decision: {requester}, {title_of(request)}, {duration}",
        [
            f"{requester} requests this through {request.flow_name}, for {duration}:",
            "\n".join(f"  {target}" for target in request.targets.all()),
            quote(request.justification),
            f"The AI agent {request.token_name} made the request." if request.by_agent else "",
            evidence_sentence(request),
            f"It lapses on {format_instant(request.pending_until)} if nobody decides.",
        ],
        absolute_url("requests:decide", request.pk),
    )


def _escalated(notification: Notification) -> Message:
    message = _decision_needed(notification)
    why = "Nobody decided in time, so the request was escalated to you."
    return Message(message.subject, [why, *message.paragraphs], message.url)


def _handled(notification: Notification) -> Message:
    request, actor = notification.subject_request, _actor(notification.event)
    what = {
        EventName.REQUEST_APPROVE.value: f"{actor} approved it.",
        EventName.REQUEST_REJECT.value: f"{actor} rejected it.",
    }.get(notification.event.event, f"It was cancelled by {actor}.")
    return Message(
        f"{request.reference} no longer needs your decision",
        [what, "No action is needed."],
        _page_of(request),
    )


def _what_is_needed(request: AccessRequest) -> str:
    return "passkey" if request.mfa_requirement().needs_passkey else "code"


def _code_needed(notification: Notification) -> Message:
    request = notification.subject_request
    until = format_instant(request.pending_until)
    return Message(
        f"{request.reference} is waiting for your {_what_is_needed(request)}",
        [
            notification.reason,
            f"Sign in and verify by {until} to continue. Nothing you entered is lost.",
        ],
        absolute_url("requests:step_up"),
    )


def _decided(notification: Notification) -> Message:
    request, actor = notification.subject_request, _actor(notification.event)
    if notification.event.event == EventName.REQUEST_APPROVE:
        verdict = "approved"
        paragraphs = [
            f"{actor} approved it.",
            quote(notification.reason),
            "Access is being granted now.",
        ]
    else:
        verdict = "rejected"
        paragraphs = [
            f"{actor} rejected it. No access was granted.",
            quote(notification.reason),
            "If you still need access, submit a new request that addresses this.",
        ]
    subject = f"{request.reference} was {verdict}: {title_of(request)}"
    return Message(subject, paragraphs, _page_of(request))


def _closed(notification: Notification) -> Message:
    request, event = notification.subject_request, notification.event
    has_lapsed = event.event == EventName.REQUEST_LAPSE
    by = "" if has_lapsed or event.actor_id is None else f" by {_actor(event)}"
    what = "lapsed" if has_lapsed else "was cancelled"
    return Message(
        f"{request.reference} {what}{by}: {title_of(request)}",
        [notification.reason, "No access was granted. If you still need it, request it again."],
        _page_of(request),
    )


def _active(notification: Notification) -> Message:
    request = notification.subject_request
    approvers = [person(decision.approver_label) for decision in request.decisions.all()]
    until = format_instant(_until(notification))
    return Message(
        f"{request.reference} is active until {until}: {title_of(request)}",
        [
            f"Approved by {', '.join(approvers)}." if approvers else "",
            "Reveal the credential on the request's page. It is shown once.",
        ],
        _page_of(request),
    )


def _extended(notification: Notification) -> Message:
    request, until = notification.subject_request, format_instant(_until(notification))
    return Message(
        f"{request.reference} was extended to {until}: {title_of(request)}",
        [f"Extended by {_actor(notification.event)}. The credential stays the same."],
        _page_of(request),
    )


def _expires_soon(notification: Notification) -> Message:
    request, until = notification.subject_request, format_instant(_until(notification))
    return Message(
        f"{request.reference} expires on {until}: {title_of(request)}",
        [
            "Open sessions are terminated then. Save your work first.",
            "The request's page shows whether you can extend it.",
        ],
        _page_of(request),
    )


def _ended(notification: Notification) -> Message:
    request = notification.subject_request
    is_revoked = notification.event.event == EventName.REQUEST_REVOKE
    by, reason = person(request.revoked_by_label), request.message if is_revoked else ""
    return Message(
        f"{request.reference} {'was revoked' if is_revoked else 'expired'}: {title_of(request)}",
        [
            " ".join(filter(None, [f"Revoked by {by}." if by else "", reason])),
            "Removal verified: nothing is left on the target.",
        ],
        _page_of(request),
    )


def _failed(notification: Notification) -> Message:
    request = notification.subject_request
    return Message(
        f"{request.reference} could not be granted: {title_of(request)}",
        [
            notification.reason,
            "You did not receive access. Request it again, or contact an account admin.",
        ],
        _page_of(request),
    )


def _break_glass(notification: Notification) -> Message:
    request = notification.subject_request
    if notification.event.event == EventName.REQUEST_REVIEW:
        return _reviewed(notification)
    requester, duration = person(request.requester_label), format_duration(request.duration)
    return Message(
        f"Break-glass access used: {requester}, {title_of(request)}, {duration} ({request.reference})",
        [
            f"{requester} takes this through {request.flow_name} without approval, for {duration}:",
            "\n".join(f"  {target}" for target in request.targets.all()),
            quote(request.justification),
            evidence_sentence(request),
            "If this is no emergency, revoke it now. Otherwise review it within 24 hours of its end.",
        ],
        _page_of(request),
    )


def _reviewed(notification: Notification) -> Message:
    request = notification.subject_request
    is_justified = notification.metadata.get("verdict") == BreakGlassReview.Verdict.JUSTIFIED
    requester = person(request.requester_label)
    pause = f"Break-glass access of {requester} is paused until an account admin lifts the pause."
    return Message(
        f"{request.reference} was reviewed: {'' if is_justified else 'not '}justified",
        [
            f"{_actor(notification.event)} reviewed the break-glass access of {requester}.",
            quote(notification.reason),
            "" if is_justified else pause,
        ],
        _page_of(request),
    )


def _change(notification: Notification) -> Message:
    event, proposer = notification.event, person(str(notification.metadata.get("proposed_by", "")))
    changes = changes_of(notification.metadata)
    what = {
        EventName.CHANGE_PROPOSE.value: f"{proposer} proposes it. It is not applied until another admin confirms it.",
        EventName.CHANGE_CONFIRM.value: f"{proposer} proposed it, {_actor(event)} confirmed it, and it is applied.",
        EventName.CHANGE_REJECT.value: f"{proposer} proposed it, and {_actor(event)} rejected it. Nothing was changed.",
    }.get(
        event.event,
        f"{proposer} proposed it, and nobody confirmed it in time. Nothing was changed.",
    )
    return Message(
        f"{event.get_event_display()}: {event.target_label}",
        [
            what,
            " ".join(map(str, notification.metadata.get("weakens") or [])),
            "\n".join(f"  {change.name}: {change.before} → {change.after}" for change in changes),
            "If you did not expect it, reject it and ask who proposed it."
            if event.event == EventName.CHANGE_PROPOSE
            else "",
        ],
        absolute_url("changes:list"),
    )


def _revocation_delayed(notification: Notification) -> Message:
    event = notification.event
    return Message(
        f"Revocation delayed: {event.request_label}, {event.target_label}",
        [
            notification.reason,
            "Access that should have been revoked may still work. The portal keeps retrying.",
            "Check the target, or disable the login there yourself.",
        ],
        absolute_url("requests:detail", event.request_id)
        if event.request_id
        else absolute_url("integrations:list"),
    )


def _drift(notification: Notification) -> Message:
    events = [notification.event, *notification.merged]
    integration = notification.metadata.get("integration") or notification.event.target_label
    subject, what = f"Drift detected on {integration}", ""
    if notification.event.event == EventName.GRANT_REMOVE_UNKNOWN:
        subject = f"Unknown login removed from {integration}"
        what = "It had the portal's marker and belonged to no grant."
    lines = [
        f"{event.metadata.get('login')}: {event.metadata.get('reason', '')}".rstrip(": ")
        for event in events
    ]
    more = len(lines) - MAX_DRIFT_LINES
    return Message(
        subject,
        [what, *lines[:MAX_DRIFT_LINES], f"And {more} more." if more > 0 else ""],
        absolute_url("integrations:list"),
    )


def _integration(notification: Notification) -> Message:
    failed = ", ".join(map(str, notification.metadata.get("failed") or ["unknown"]))
    return Message(
        f"Integration {notification.event.target_label} needs attention",
        [f"Failed checks: {failed}.", "The integration's page says how to fix each one."],
        absolute_url("integrations:detail", notification.event.target_id),
    )


def _security(notification: Notification) -> Message:
    event = notification.event
    subject = f"{event.get_event_display()}: {event.target_label or event.actor_label}"
    return Message(subject, [], absolute_url("audit:list"))


def _tampering(notification: Notification) -> Message:
    event = notification.event
    if event.event == EventName.AUDIT_RESTORE:
        return _restored(notification)
    reasons = [notification.reason, *map(str, notification.metadata.get("findings") or [])]
    return Message(
        f"Tampering detected: {event.request_label or event.target_label or 'audit log'}",
        [
            *filter(None, reasons[: MAX_DRIFT_LINES + 1]),
            "Something other than the portal changed its database. Find out who can write to it.",
        ],
        absolute_url("audit:list"),
    )


def _restored(notification: Notification) -> Message:
    taken_at = parse_datetime(str(notification.metadata.get("taken_at") or ""))
    since = f" of {taken_at:%Y-%m-%d %H:%M} UTC" if taken_at else ""
    return Message(
        "The database was restored from a backup",
        [
            f"The portal goes on from a backup{since}. Later changes are lost, and everybody signs in again.",
            "If nobody restored it on purpose, find out who can write to the database.",
        ],
        absolute_url("audit:list"),
    )


def _test(notification: Notification) -> Message:
    subject = f"Test message from {settings.PORTAL_NAME}"
    return Message(subject, [], absolute_url("notifications:webhooks"))


def _actor(event: Event) -> str:
    return person(event.actor_label) if event.actor_id else "the portal"


def _until(notification: Notification) -> datetime | None:
    until = parse_datetime(str(notification.metadata.get("until") or ""))
    return until or notification.subject_request.ends_at


_MESSAGES: dict[Kind, Callable[[Notification], Message]] = {
    Kind.DECISION_NEEDED: _decision_needed,
    Kind.ESCALATED: _escalated,
    Kind.HANDLED: _handled,
    Kind.CODE_NEEDED: _code_needed,
    Kind.DECIDED: _decided,
    Kind.CLOSED: _closed,
    Kind.ACTIVE: _active,
    Kind.EXTENDED: _extended,
    Kind.EXPIRES_SOON: _expires_soon,
    Kind.ENDED: _ended,
    Kind.FAILED: _failed,
    Kind.BREAK_GLASS: _break_glass,
    Kind.CHANGE: _change,
    Kind.REVOCATION_DELAYED: _revocation_delayed,
    Kind.DRIFT: _drift,
    Kind.INTEGRATION: _integration,
    Kind.SECURITY: _security,
    Kind.TAMPERING: _tampering,
    Kind.TEST: _test,
}
