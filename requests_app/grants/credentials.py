"""Reveal a credential, once, and reset it while access is active."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Credential, GrantIdentity
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.models import Strength
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state
from mfa.verification.strength import Requirement
from mfa.verification.window import Window
from requests_app.evidence_checks import tampering_recorded
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.target_access import connector_errors, connector_of
from requests_app.lifecycle import lock_request
from requests_app.models import Grant, GrantState
from requests_app.policies import ACCESS_NOT_AUTHENTIC, agent_reveal_refusal, can_reveal

if TYPE_CHECKING:
    from apono_portal.users.models import User


def reveal_credential(
    *, actor: "User", grant: Grant, window: Window | None, client_info: ClientInfo = SYSTEM
) -> Credential:
    """Set the grant's password on the target and return the credential, once.

    The grant is marked as revealed before the call, so that two tabs never get two passwords, and
    unmarked if the call fails. Raises `WindowClosed`, `RequestRefused` or `Conflict`.
    """
    with tampering_recorded(
        request=grant.request, target=grant, actor=actor, client_info=client_info
    ):
        grant, identity = _mark_revealed(actor, grant, window, client_info)
    try:
        with connector_errors():
            integration, connector, target = connector_of(grant)
            credential = connector.issue_credential(target, grant.spec(integration), identity)
    except ConnectorError as error:
        _unmark_revealed(actor, grant, error.sentence, client_info)
        raise RequestRefused(f"{error.sentence} The credential was not revealed.") from None
    Grant.objects.filter(pk=grant.pk).update(password_set_at=timezone.now())
    return credential


def reset_credential(
    *, actor: "User", grant: Grant, window: Window | None, client_info: ClientInfo = SYSTEM
) -> Credential:
    """Replace a revealed password and return the new credential, once.

    Open sessions are terminated if the integration says so. Raises `WindowClosed`,
    `RequestRefused` or `Conflict`.
    """
    with tampering_recorded(
        request=grant.request, target=grant, actor=actor, client_info=client_info
    ):
        grant, identity = _mark_reset(actor, grant, window, client_info)
    try:
        with connector_errors():
            integration, connector, target = connector_of(grant)
            credential = connector.reset_credential(
                target,
                grant.spec(integration),
                identity,
                terminate_sessions=integration.terminate_sessions_on_reset,
            )
    except ConnectorError as error:
        _record_failure(actor, grant, "reset", error.sentence, client_info)
        raise RequestRefused(
            f"{error.sentence} The old password may no longer work. Reset again."
        ) from None
    Grant.objects.filter(pk=grant.pk).update(password_set_at=timezone.now())
    return credential


def _mark_reset(
    actor: "User", grant: Grant, window: Window | None, client_info: ClientInfo
) -> tuple[Grant, GrantIdentity]:
    with transaction.atomic():
        grant, identity = _lock_revealable(actor, grant, window, client_info)
        if grant.revealed_at is None:
            raise Conflict("This credential has not been revealed yet. Reveal it first.")
        Grant.objects.filter(pk=grant.pk).update(revealed_at=timezone.now())
        terminated = grant.integration is not None and grant.integration.terminate_sessions_on_reset
        record(
            event=EventName.GRANT_RESET,
            actor=actor,
            target=grant,
            request=grant.request,
            client_info=client_info,
            metadata={
                "login": grant.login,
                "integration": grant.integration_name,
                "sessions_terminated": terminated,
            },
        )
    return grant, identity


def _lock_revealable(
    actor: "User", grant: Grant, window: Window | None, client_info: ClientInfo
) -> tuple[Grant, GrantIdentity]:
    """Lock and return the grant if its requester may get a credential now."""
    lock_state(actor.pk)
    request = lock_request(grant.request_id)
    grant = (
        Grant.objects.select_for_update(of=("self",)).select_related("integration").get(pk=grant.pk)
    )
    grant.request = request
    identity = grant.identity
    if not can_reveal(grant, actor) or identity is None:
        raise Conflict(
            "This access is not active, so it has no credential. See its page for the status."
        )
    if not request.is_authentic or not grant.is_authentic:
        raise Conflict(ACCESS_NOT_AUTHENTIC)
    if grant.deadline <= timezone.now():
        raise Conflict("This access has expired. Request it again if you still need it.")
    if sentence := agent_reveal_refusal(request, client_info):
        raise RequestRefused(sentence)
    if request.require_mfa:
        requirement = Requirement(Strength(request.mfa_strength))
        require_evidence(user=actor, window=window, requirement=requirement)
    return grant, identity


def _mark_revealed(
    actor: "User", grant: Grant, window: Window | None, client_info: ClientInfo
) -> tuple[Grant, GrantIdentity]:
    now = timezone.now()
    with transaction.atomic():
        grant, identity = _lock_revealable(actor, grant, window, client_info)
        marked = Grant.objects.filter(
            pk=grant.pk, state=GrantState.ACTIVE, revealed_at=None
        ).update(revealed_at=now)
        if not marked:
            raise Conflict(
                "This credential was already revealed. It is shown only once; reset it to get a new one."
            )
        record(
            event=EventName.GRANT_REVEAL,
            actor=actor,
            target=grant,
            request=grant.request,
            client_info=client_info,
            metadata={"login": grant.login, "integration": grant.integration_name},
        )
    return grant, identity


def _unmark_revealed(actor: "User", grant: Grant, sentence: str, client_info: ClientInfo) -> None:
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(revealed_at=None)
        _record_failure(actor, grant, "reveal", sentence, client_info)


def _record_failure(
    actor: "User", grant: Grant, step: str, sentence: str, client_info: ClientInfo
) -> None:
    record(
        event=EventName.GRANT_RETRY,
        actor=actor,
        target=grant,
        request=grant.request,
        client_info=client_info,
        metadata={"step": step, "reason": sentence},
    )
