"""A user's own data as one JSON document: no secrets, and nothing about others but their names.

Events show the address and browser of the user alone, not those of an admin who acted.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q, QuerySet
from django.utils import timezone

from apono_portal.api.models import ApiToken
from apono_portal.core.db.keyset import iter_batches
from apono_portal.core.web.user_agent import name_browser
from apono_portal.users.device_sessions import device_rows
from apono_portal.users.models import User
from apono_portal.users.ownership import directory_of
from audit.models import Event
from mfa.methods.selectors import methods_of
from mfa.models import TrustedBrowser, Verification
from requests_app.activity.export import record_of
from requests_app.activity.selectors import with_decisions
from requests_app.models import AccessRequest, Decision, Grant

Row = dict[str, Any]


def document_of(user: User) -> Iterator[str]:
    """Yield the document in parts, so that a long history needs little memory."""
    yield "{"
    for number, (name, rows) in enumerate(_sections(user).items()):
        yield f"{',' if number else ''}\n{json.dumps(name)}: ["
        for index, row in enumerate(rows):
            yield f"{',' if index else ''}\n  {json.dumps(row, cls=DjangoJSONEncoder)}"
        yield "]"
    yield "\n}\n"


def _sections(user: User) -> dict[str, Iterable[Row]]:
    return {
        "profile": [_profile(user)],
        "mfa_methods": _methods(user),
        "devices": _devices(user),
        "trusted_browsers": _trusted_browsers(user),
        "api_tokens": _tokens(user),
        "requests": _requests(user),
        "decisions": _decisions(user),
        "verifications": _verifications(user),
        "events": _events(user),
    }


def _profile(user: User) -> Row:
    return {
        "portal": settings.PORTAL_NAME,
        "downloaded_at": timezone.now(),
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "groups": list(user.groups.order_by("name").values_list("name", flat=True)),
        "directory": directory_of(user),
        "single_sign_on": list(
            user.external_identities.values("provider__name", "subject", "created_at")
        ),
        "time_zone": user.time_zone,
        "added_at": user.created_at,
        "last_sign_in_at": user.last_login,
    }


def _methods(user: User) -> Iterator[Row]:
    for method in methods_of(user.pk):
        yield {
            "kind": method.kind,
            "name": method.name,
            "added_at": method.created_at,
            "last_used_at": method.last_used_at,
        }


def _devices(user: User) -> Iterator[Row]:
    for row in device_rows(user):
        yield {
            "browser": row.device.name,
            "user_agent": row.device.user_agent,
            "address": row.device.address,
            "signed_in_at": row.device.signed_in_at,
            "last_seen_at": row.device.last_seen_at,
        }


def _trusted_browsers(user: User) -> Iterator[Row]:
    for browser in TrustedBrowser.objects.trusted_by(user.pk, user.mfa_epoch):
        yield {
            "browser": name_browser(browser.user_agent),
            "trusted_since": browser.created_at,
            "last_used_at": browser.last_used_at,
        }


def _tokens(user: User) -> Iterator[Row]:
    fields = (
        *("name", "prefix", "scopes", "created_at", "created_by_label"),
        *("expires_at", "last_used_at", "revoked_at", "revoked_by_label"),
    )
    yield from ApiToken.objects.filter(user=user).order_by("pk").values(*fields)


def _requests(user: User) -> Iterator[Row]:
    requests = with_decisions(AccessRequest.objects.filter(requester=user))
    for request in _all(requests.prefetch_related("targets", "grants", "extensions", "review")):
        yield record_of(request) | {"grants": [_grant(grant) for grant in request.grants.all()]}


def _grant(grant: Grant) -> Row:
    return {
        "integration": grant.integration_name,
        "resource": grant.resource,
        "permission": grant.permission,
        "state": grant.state,
        "login": grant.login,
        "deadline": grant.deadline,
        "activated_at": grant.activated_at,
        "revealed_at": grant.revealed_at,
        "contained_at": grant.contained_at,
        "removed_at": grant.removed_at,
    }


def _decisions(user: User) -> Iterator[Row]:
    for decision in _all(Decision.objects.filter(approver=user).select_related("request")):
        yield {
            "request": decision.request.reference,
            "verdict": decision.verdict,
            "reason": decision.reason,
            "at": decision.at,
        }


def _verifications(user: User) -> Iterator[Row]:
    for verification in _all(Verification.objects.filter(user=user)):
        yield {
            "at": verification.at,
            "outcome": verification.outcome,
            "method": verification.method,
            "with": verification.device_name,
            "address": verification.address,
            "user_agent": verification.user_agent,
        }


def _events(user: User) -> Iterator[Row]:
    about = Q(target_type=User._meta.label_lower, target_id=str(user.pk))
    for event in _all(Event.objects.filter(about | Q(actor_id=user.pk))):
        is_own = event.actor_id == user.pk
        yield {
            "at": event.at,
            "event": event.event,
            "actor": event.actor_label,
            "target": event.target_label,
            "request": event.request_label,
            "address": event.address if is_own else None,
            "user_agent": event.user_agent if is_own else "",
            "metadata": event.metadata,
        }


def _all(rows: QuerySet[Any]) -> Iterator[Any]:
    for batch in iter_batches(rows):
        yield from batch
