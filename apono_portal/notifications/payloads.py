"""The JSON sent to webhooks, documented for receivers in docs/notifications.md."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.notifications.messages import Message, evidence_sentence
from apono_portal.notifications.models import Webhook
from apono_portal.notifications.notification import Notification
from audit.models import Event
from mfa.models import Verification
from requests_app.models import AccessRequest

# Chat markup: entities that make links and mentions (Slack), mentions and Markdown elsewhere.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b", "`": "'"})


def body_for(webhook: Webhook, notification: Notification, message: Message) -> str:
    """Return the JSON for a webhook. A chat gets ``text`` only."""
    text = chat_text(notification, message)
    if webhook.form == Webhook.Form.CHAT:
        return json.dumps({"text": text})
    event = notification.event
    payload = {
        "type": event.event.replace(":", "."),
        "timestamp": event.at,
        "text": text,
        "data": {
            "kind": notification.kind.value,
            "event": event.pk,
            "actor": event.actor_label,
            "target": event.target_label,
            "address": event.address,
            "reason": notification.reason,
            "url": message.url,
            "request": _request(notification.request) if notification.request else None,
            "mfa": mfa_evidence(event, notification.request),
            "also": [merged.pk for merged in notification.merged],
        },
    }
    return json.dumps(payload, cls=DjangoJSONEncoder)


def chat_text(notification: Notification, message: Message) -> str:
    """Return one line with the link and, for protected requests, the requester's verification."""
    parts = [message.subject.translate(_ESCAPES) + "."]
    if notification.request is not None and notification.request.require_mfa:
        parts.append(evidence_sentence(notification.request).translate(_ESCAPES))
    return " ".join([*parts, message.url])


def mfa_evidence(event: Event, request: AccessRequest | None) -> list[dict[str, Any]]:
    """Return who verified, when, with which authenticator and from where.

    First the requester, from the request's own snapshot, then the actor of the event.
    """
    evidence = []
    if request is not None and request.verified_at is not None:
        evidence.append(
            {
                "role": "requester",
                "user": request.requester_label,
                "verification": request.verification_id,
                "verified_at": request.verified_at,
                "method": request.verified_method,
                "authenticator": request.verified_with,
                "address": request.verified_from,
                "window_closes_at": request.window_closes_at,
            }
        )
    pk = event.metadata.get("verification")
    if isinstance(pk, int) and (request is None or pk != request.verification_id):
        evidence += [
            {
                "role": "actor",
                "user": event.actor_label,
                "verification": verification.pk,
                "verified_at": verification.at,
                "method": verification.method,
                "authenticator": verification.device_name,
                "address": verification.address,
                "window_closes_at": verification.window_closes_at,
            }
            for verification in Verification.objects.filter(pk=pk)
        ]
    return evidence


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
        "break_glass": request.break_glass,
        "agent": request.token_name if request.by_agent else "",
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
    }
