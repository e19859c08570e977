"""Showing a credential, once."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Credential, GrantIdentity
from audit.events import EventName
from audit.origin import SYSTEM, Origin
from audit.services import record
from mfa.services import lock_state, require_evidence
from mfa.window import Window
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.lifecycle import lock_request
from requests_app.models import Grant, GrantState
from requests_app.policies import may_reveal
from requests_app.targets import asking, reach


def reveal_credential(
    *, actor: Any, grant: Grant, window: Window | None, origin: Origin = SYSTEM
) -> Credential:
    """Make the grant's password on the target and return it, once.

    The turn is taken before the target is asked, so that two tabs never get two passwords, and given
    back when the target does not do it. Raises `WindowClosed`, `RequestRefused` or `Conflict`.
    """
    grant, identity = _take_turn(actor, grant, window, origin)
    try:
        with asking():
            integration, connector, target = reach(grant)
            return connector.issue_credential(target, grant.spec(integration), identity)
    except ConnectorError as error:
        _give_back(actor, grant, error.sentence, origin)
        raise RequestRefused(f"{error.sentence} The credential was not shown.") from None


def _take_turn(
    actor: Any, grant: Grant, window: Window | None, origin: Origin
) -> tuple[Grant, GrantIdentity]:
    now = timezone.now()
    with transaction.atomic():
        lock_state(actor.pk)
        request = lock_request(grant.request_id)
        grant = (
            Grant.objects.select_for_update(of=("self",))
            .select_related("integration")
            .get(pk=grant.pk)
        )
        grant.request = request
        identity = grant.identity
        if not may_reveal(grant, actor) or identity is None:
            raise Conflict("This access is not open, so there is no credential to show.")
        if grant.deadline <= now:
            raise Conflict("This access has reached its end.")
        if request.require_mfa:
            require_evidence(user=actor, window=window)
        taken = Grant.objects.filter(pk=grant.pk, state=GrantState.ACTIVE, revealed_at=None).update(
            revealed_at=now
        )
        if not taken:
            raise Conflict("This credential was shown before. It is shown once only.")
        record(
            event=EventName.GRANT_REVEAL,
            actor=actor,
            target=grant,
            request=request,
            origin=origin,
            metadata={"login": grant.login, "integration": grant.integration_name},
        )
    return grant, identity


def _give_back(actor: Any, grant: Grant, sentence: str, origin: Origin) -> None:
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(revealed_at=None)
        record(
            event=EventName.GRANT_RETRY,
            actor=actor,
            target=grant,
            request=grant.request,
            origin=origin,
            metadata={"step": "reveal", "reason": sentence},
        )
