"""Showing a credential, once, and replacing it while access is open."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Credential, GrantIdentity
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state
from mfa.verification.window import Window
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.target_access import draft, reach
from requests_app.lifecycle import lock_request
from requests_app.models import Grant, GrantState
from requests_app.policies import may_reveal


def reveal_credential(
    *, actor: Any, grant: Grant, window: Window | None, client_info: ClientInfo = SYSTEM
) -> Credential:
    """Make the grant's password on the target and return it, once.

    The turn is taken before the target is asked, so that two tabs never get two passwords, and given
    back when the target does not do it. Raises `WindowClosed`, `RequestRefused` or `Conflict`.
    """
    grant, identity = _take_turn(actor, grant, window, client_info)
    try:
        with draft():
            integration, connector, target = reach(grant)
            return connector.issue_credential(target, grant.spec(integration), identity)
    except ConnectorError as error:
        _give_back(actor, grant, error.sentence, client_info)
        raise RequestRefused(f"{error.sentence} The credential was not shown.") from None


def reset_credential(
    *, actor: Any, grant: Grant, window: Window | None, client_info: ClientInfo = SYSTEM
) -> Credential:
    """Make a new password in place of the one that was shown, and return it, once.

    The old one is dead; open sessions are cut if the integration says so. Asks for the same as the
    first showing. Raises `WindowClosed`, `RequestRefused` or `Conflict`.
    """
    grant, identity = _note_reset(actor, grant, window, client_info)
    try:
        with draft():
            integration, connector, target = reach(grant)
            return connector.reset_credential(
                target,
                grant.spec(integration),
                identity,
                terminate_sessions=integration.terminate_sessions_on_reset,
            )
    except ConnectorError as error:
        _record_trouble(actor, grant, "reset", error.sentence, client_info)
        raise RequestRefused(
            f"{error.sentence} No new password was shown, and the old one may be dead. Reset again."
        ) from None


def _note_reset(
    actor: Any, grant: Grant, window: Window | None, client_info: ClientInfo
) -> tuple[Grant, GrantIdentity]:
    with transaction.atomic():
        grant, identity = _lock_open(actor, grant, window)
        if grant.revealed_at is None:
            raise Conflict("This credential was not shown yet. Reveal it.")
        Grant.objects.filter(pk=grant.pk).update(revealed_at=timezone.now())
        cuts = grant.integration is not None and grant.integration.terminate_sessions_on_reset
        record(
            event=EventName.GRANT_RESET,
            actor=actor,
            target=grant,
            request=grant.request,
            client_info=client_info,
            metadata={
                "login": grant.login,
                "integration": grant.integration_name,
                "sessions_cut": cuts,
            },
        )
    return grant, identity


def _lock_open(actor: Any, grant: Grant, window: Window | None) -> tuple[Grant, GrantIdentity]:
    """Lock the grant and return it if its owner may have a credential of it now."""
    lock_state(actor.pk)
    request = lock_request(grant.request_id)
    grant = (
        Grant.objects.select_for_update(of=("self",)).select_related("integration").get(pk=grant.pk)
    )
    grant.request = request
    identity = grant.identity
    if not may_reveal(grant, actor) or identity is None:
        raise Conflict(
            "This access is not open, so there is no credential to show. Its page says where it stands."
        )
    if grant.deadline <= timezone.now():
        raise Conflict("This access has reached its end. Ask again if you still need it.")
    if request.require_mfa:
        require_evidence(user=actor, window=window)
    return grant, identity


def _take_turn(
    actor: Any, grant: Grant, window: Window | None, client_info: ClientInfo
) -> tuple[Grant, GrantIdentity]:
    now = timezone.now()
    with transaction.atomic():
        grant, identity = _lock_open(actor, grant, window)
        taken = Grant.objects.filter(pk=grant.pk, state=GrantState.ACTIVE, revealed_at=None).update(
            revealed_at=now
        )
        if not taken:
            raise Conflict(
                "This credential was shown before. It is shown once only; reset it to get another."
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


def _give_back(actor: Any, grant: Grant, sentence: str, client_info: ClientInfo) -> None:
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(revealed_at=None)
        _record_trouble(actor, grant, "reveal", sentence, client_info)


def _record_trouble(
    actor: Any, grant: Grant, step: str, sentence: str, client_info: ClientInfo
) -> None:
    record(
        event=EventName.GRANT_RETRY,
        actor=actor,
        target=grant,
        request=grant.request,
        client_info=client_info,
        metadata={"step": step, "reason": sentence},
    )
