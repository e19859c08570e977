"""Test sign-in: the claims that came, and what they would become. Nothing is changed by it."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso.authorization import Answer
from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.models import ExternalIdentity, IdentityProvider
from apono_portal.sso.services import record_test
from apono_portal.users.models import User

MAX_ROWS, MAX_LENGTH = 60, 200
PROTOCOL = {"iss", "aud", "exp", "iat", "nbf", "nonce", "at_hash", "azp", "jti", "sid", "c_hash"}
MEANINGS = {
    "sub": "Identity of the user",
    "email": "Email",
    "email_verified": "Required to match by email",
    "xms_edov": "Required to match by email",
    "name": "Name",
    "acr": "Shown in the audit log",
    "amr": "Shown in the audit log",
    "auth_time": "Time of the sign-in there",
}
USED, MISSING, IGNORED = "used", "missing", "ignored"


@dataclass(frozen=True)
class ClaimRow:
    """A claim, what it becomes, and whether it does."""

    claim: str
    value: str
    becomes: str
    state: str
    result: str


def show_test(request: PortalRequest, provider: IdentityProvider, answer: Answer) -> HttpResponse:
    """Keep the result in the admin's session, and show it on the provider's page."""
    record_test(
        actor=request.user, provider=provider, failure="", client_info=ClientInfo.of(request)
    )
    rows = _rows(provider, answer)
    _keep(request, provider, rows=[asdict(row) for row in rows], summary=_summary(answer, rows))
    return redirect("sso:detail", pk=provider.pk)


def show_failure(
    request: PortalRequest, provider: IdentityProvider, error: SsoError
) -> HttpResponse:
    record_test(
        actor=request.user,
        provider=provider,
        failure=error.sentence,
        client_info=ClientInfo.of(request),
    )
    _keep(request, provider, failure=error.sentence)
    return redirect("sso:detail", pk=provider.pk)


def test_of(request: PortalRequest, provider: IdentityProvider) -> dict[str, Any]:
    """Return the result of this session's last test of a provider, empty if there is none."""
    result: dict[str, Any] = request.session.get(_key(provider)) or {}
    return result


def _keep(request: PortalRequest, provider: IdentityProvider, **result: Any) -> None:
    at = timezone.localtime().strftime("%H:%M")
    request.session[_key(provider)] = {"at": at, "failure": "", "rows": [], "summary": ""} | result


def _key(provider: IdentityProvider) -> str:
    return f"sso_test_{provider.pk}"


def _summary(answer: Answer, rows: list[ClaimRow]) -> str:
    email = answer.claims.email
    is_known = email and User.objects.filter(email=email).exists()
    who = f"as {email or answer.claims.subject}"
    used = sum(row.state == USED for row in rows)
    return f"{who}, {'an existing user' if is_known else 'a new user'}. {used} values used."


def _rows(provider: IdentityProvider, answer: Answer) -> list[ClaimRow]:
    claims = answer.claims
    rows = [
        _row(name, value, provider, answer)
        for name, value in claims.everything.items()
        if name not in PROTOCOL and name != provider.groups_claim
    ]
    if not claims.email:
        text = "not sent or not verified"
        rows.append(ClaimRow("email", text, "Email", MISSING, "New users are refused"))
    return [*rows, *_group_rows(provider, answer)][:MAX_ROWS]


def _row(name: str, value: object, provider: IdentityProvider, answer: Answer) -> ClaimRow:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    state, result = (USED, "Used") if name in MEANINGS else (IGNORED, "Ignored")
    if name == "sub":
        known = ExternalIdentity.objects.filter(
            provider=provider, issuer=answer.claims.issuer, subject=answer.claims.subject
        )
        result = "Known" if known.exists() else "New"
    if name == "amr":
        state, result = IGNORED, "Never counts as MFA"
    return ClaimRow(name, text[:MAX_LENGTH], MEANINGS.get(name, "Not used"), state, result)


def _group_rows(provider: IdentityProvider, answer: Answer) -> list[ClaimRow]:
    name, groups = provider.groups_claim, answer.claims.groups
    if groups is None:
        text = "too many to list"
        return [ClaimRow(name, text, "Unknown", MISSING, "Groups stay as they are")]
    mapped: dict[str, list[str]] = {}
    for mapping in provider.mappings.select_related("group"):
        kind = f"Group {mapping.group}" if mapping.group else f"Role {mapping.role.title()}"
        mapped.setdefault(mapping.value, []).append(kind)
    return [
        ClaimRow(name, value[:MAX_LENGTH], ", ".join(mapped[value]), USED, "Mapped")
        if value in mapped
        else ClaimRow(name, value[:MAX_LENGTH], "Not mapped", IGNORED, "Ignored")
        for value in sorted(groups)
    ]
