"""What a webhook is told: docs/notices.md describes it for those who receive it."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.notifications.messages import Words, evidence_sentence
from apono_portal.notifications.models import Webhook
from apono_portal.notifications.notification import Notification
from audit.models import Event
from mfa.models import Verification
from requests_app.models import AccessRequest

# Of a chat's markup: entities that make links and mentions (Slack), mentions and markdown elsewhere.
_HARMLESS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b", "`": "'"})


def body_for(webhook: Webhook, news: Notification, words: Words) -> str:
    """Return the JSON for a webhook. A chat gets ``text`` alone, everybody else all of it."""
    text = text_of(news, words)
    if webhook.form == Webhook.Form.CHAT:
        return json.dumps({"text": text})
    event = news.event
    told = {
        "type": event.event.replace(":", "."),
        "timestamp": event.at,
        "text": text,
        "data": {
            "kind": news.kind.value,
            "event": event.pk,
            "actor": event.actor_label,
            "target": event.target_label,
            "address": event.address,
            "reason": news.reason,
            "url": words.url,
            "request": _request(news.request) if news.request else None,
            "mfa": evidence_of(event, news.request),
            "also": [each.pk for each in news.also],
        },
    }
    return json.dumps(told, cls=DjangoJSONEncoder)


def text_of(news: Notification, words: Words) -> str:
    """Return one line for people, with who proved what where a request stands on it."""
    parts = [words.subject.translate(_HARMLESS) + "."]
    if news.request is not None and news.request.require_mfa:
        parts.append(evidence_sentence(news.request).translate(_HARMLESS))
    return " ".join([*parts, words.url])


def evidence_of(event: Event, request: AccessRequest | None) -> list[dict[str, Any]]:
    """Return who proved presence for this, when, with which authenticator and from where.

    That of the requester, told by the request's own snapshot, and that of whoever decided.
    """
    told = []
    if request is not None and request.verified_at is not None:
        told.append(
            _evidence(
                "requester",
                request.requester_label,
                request.verification_id,
                request.verified_at,
                request.verified_with,
                request.verified_from,
                closes_at=request.window_closes_at,
            )
        )
    number = event.metadata.get("verification")
    if isinstance(number, int) and (request is None or number != request.verification_id):
        told.extend(_of_ledger(Verification.objects.filter(pk=number), event.actor_label))
    return told


def _of_ledger(rows: Iterable[Verification], who: str) -> list[dict[str, Any]]:
    return [
        _evidence(
            "actor",
            who,
            row.pk,
            row.at,
            row.device_name,
            row.address,
            closes_at=row.window_closes_at,
        )
        for row in rows
    ]


def _evidence(
    role: str,
    person: str,
    verification: int | None,
    at: datetime,
    authenticator: str,
    address: str | None,
    *,
    closes_at: datetime | None,
) -> dict[str, Any]:
    return {
        "of": role,
        "person": person,
        "verification": verification,
        "verified_at": at,
        "authenticator": authenticator,
        "address": address,
        "window_closes_at": closes_at,
    }


def _request(request: AccessRequest) -> dict[str, Any]:
    return {
        "reference": request.reference,
        "url": absolute_url("requests:detail", request.pk),
        "requester": request.requester_label,
        "flow": request.flow_name,
        "targets": [str(target) for target in request.targets.all()],
        "status": request.status,
        "duration_s": int(request.duration.total_seconds()),
        "justification": request.justification,
        "ticket": request.ticket,
        "require_mfa": request.require_mfa,
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
    }
