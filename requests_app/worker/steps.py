"""The steps of a worker on targets: contain, activate, clean. Each may be repeated.

A step gets leased grants, calls the target outside any transaction, and writes the result where the
lease still holds.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import structlog
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import (
    Connector,
    Containment,
    GrantIdentity,
    Target,
)
from accessflows.models import Integration
from requests_app.grants.activation import confirm_activation, fail_activation, record_activation
from requests_app.grants.leases import release, renew, retry_later
from requests_app.grants.proof import record_containment, record_never_created, record_removals
from requests_app.grants.records import save_identity, save_owned_objects
from requests_app.grants.target_access import connector_errors, connector_of, iter_managed_accounts
from requests_app.models import Grant
from requests_app.policies import allows_delegation
from requests_app.worker.deadline_watchdog import terminated_sessions
from requests_app.worker.permission_changes import (
    NOT_UNDONE,
    States,
    has_changed,
    read_permissions,
    undo_permission_changes,
)

log = structlog.get_logger(__name__)

NO_ANSWER = "The target did not respond."
NOT_REMOVED = "Traces of the login remain on the target. The portal will clean up again."
RETRY_UNAVAILABLE = timedelta(seconds=0.5)  # may be over any moment
RETRY_REFUSED = timedelta(seconds=5)  # someone has to fix the target first


def contain(grants: list[Grant], lease: str) -> None:
    """End all use of many grants of one integration, over one connection.

    Grants whose activation never answered are looked up first; where nothing was created, nothing is
    to be contained. Two workers may contain a grant at once, so an expired lease stops nothing here.
    """
    try:
        with connector_errors():
            integration, connector, target = connector_of(grants[0])
        identities = _identify(grants, lease, integration, connector, target)
        if not identities:
            return
        with connector_errors():
            results = connector.contain_many(target, list(identities.values()))
    except ConnectorError as error:
        _retry_containment(grants, error)
        return
    contained: dict[Grant, Containment] = {}
    for grant, identity in identities.items():
        result = results.get(identity, TargetUnavailable(NO_ANSWER))
        if isinstance(result, ConnectorError):
            _retry_containment([grant], result)
        else:
            number = max(result.sessions_terminated, terminated_sessions.count(grant.pk))
            contained[grant] = replace(result, sessions_terminated=number)
    for grant in record_containment(contained=contained):
        _log_done("grant_contained", grant)


def activate(grants: list[Grant], lease: str) -> None:
    """Activate one grant. An unavailable target is retried until the deadline, a refusal is final."""
    [grant] = grants
    latest = min(filter(None, [grant.request.pending_until, grant.deadline]))
    if latest <= timezone.now() and not _is_in_use(grant):
        sentence = f"Access could not be provisioned in time. {grant.last_error}".strip()
        _fail(grant, lease, sentence)
        return
    if not confirm_activation(grant=grant):
        release([grant], lease)
        return
    try:
        with connector_errors():
            integration, connector, target = connector_of(grant)
            spec = grant.spec(
                integration,
                allow_delegation=allows_delegation(grant),
                by_agent=grant.request.by_agent,
            )
            activation = connector.activate(target, spec)
    except TargetUnavailable as error:
        retry_later([grant], lease, step="activate", sentence=error.sentence, latest=latest)
        log.warning("grant_retry", grant=str(grant.pk), step="activate", reason=error.sentence)
    except ConnectorError as error:
        _fail(grant, lease, error.sentence)
    else:
        record_activation(grant=grant, lease=lease, activation=activation)
        _log_done("grant_activated", grant)


def clean(grants: list[Grant], lease: str) -> None:
    """Remove what the grants left behind, and have the target prove that they are removed.

    When the target does not answer, the remaining grants are released.
    """
    try:
        with connector_errors():
            _, connector, target = connector_of(grants[0])
    except ConnectorError as error:
        _retry(grants, lease, "clean", error)
        return
    cleaned: dict[Grant, GrantIdentity] = {}
    states: States = {}
    for number, grant in enumerate(grants):
        try:
            if identity := _clean_one(grant, lease, connector, target, states):
                cleaned[grant] = identity
        except ConnectorError as error:
            _retry([grant], lease, "clean", error)
            if isinstance(error, TargetUnavailable):
                release(grants[number + 1 :], lease)
                break
    if cleaned:
        _prove(cleaned, lease, connector, target)


def _clean_one(
    grant: Grant, lease: str, connector: Connector, target: Target, states: States
) -> GrantIdentity | None:
    """Clean up one grant. None if another worker holds it by now."""
    if not renew([grant], lease):
        return None
    with connector_errors():
        identity = _identity_of(grant)
        if not undo_permission_changes(grant, lease, connector, target, identity, states):
            return None
        owned_objects = connector.find_owned_objects(target, identity)
        if not save_owned_objects(grant, lease, owned_objects):
            return None
        connector.clean(target, identity)
    return identity


def _prove(
    cleaned: dict[Grant, GrantIdentity], lease: str, connector: Connector, target: Target
) -> None:
    try:
        with connector_errors():
            proofs = connector.prove_many(target, list(cleaned.values()))
            permissions = read_permissions(cleaned, connector, target)
    except ConnectorError as error:
        _retry(cleaned, lease, "clean", error)
        return
    proven: dict[Grant, dict[str, object]] = {}
    for grant, identity in cleaned.items():
        proof = proofs.get(identity, TargetUnavailable(NO_ANSWER))
        if isinstance(proof, ConnectorError):
            _retry([grant], lease, "clean", proof)
        elif not proof.holds:
            _retry([grant], lease, "clean", TargetUnavailable(NOT_REMOVED))
        elif has_changed(grant, permissions):
            _retry([grant], lease, "clean", TargetUnavailable(NOT_UNDONE))
        else:
            proven[grant] = {**proof.as_dict(), **_permission_proof(grant)}
    for grant in record_removals(proven=proven, lease=lease):
        _log_done("grant_removed", grant)


def _permission_proof(grant: Grant) -> dict[str, object]:
    if grant.permission_state is None:
        return {}
    return {
        "permission_as_before": True,
        "permission_changes": [change["text"] for change in grant.permission_changes],
    }


def _identify(
    grants: list[Grant], lease: str, integration: Integration, connector: Connector, target: Target
) -> dict[Grant, GrantIdentity]:
    """Return the grants that exist on the target; record the others as never created."""
    identities: dict[Grant, GrantIdentity] = {}
    for grant in grants:
        identity = grant.identity
        if identity is None:
            try:
                with connector_errors():
                    identity = connector.locate(target, grant.spec(integration))
            except TargetUnavailable:
                raise
            except ConnectorError as error:
                _retry_containment([grant], error)
                continue
            if identity is None:
                record_never_created(grant=grant, lease=lease)
                _log_done("grant_never_created", grant)
                continue
            save_identity(grant, identity)
        identities[grant] = identity
    return identities


def _is_in_use(grant: Grant) -> bool:
    """Whether the login of a grant past its activation deadline exists and can sign in.

    Then the portal's database is outdated, as after a restore from a backup, and not the login.
    """
    if grant.deadline <= timezone.now():
        return False
    try:
        with connector_errors():
            integration, connector, target = connector_of(grant)
            identity = connector.locate(target, grant.spec(integration))
        listings = iter_managed_accounts(connector, target, [identity] if identity else [])
        return any(
            role.grant_id == grant.pk and role.can_login
            for _, listing in listings
            for role in listing.accounts
        )
    except ConnectorError:
        return False


def _identity_of(grant: Grant) -> GrantIdentity:
    if grant.identity is None:
        raise TargetRefused("The portal does not know the login of this grant.")
    return grant.identity


def _fail(grant: Grant, lease: str, sentence: str) -> None:
    fail_activation(grant=grant, sentence=sentence)
    release([grant], lease)
    log.warning("activation_failed", grant=str(grant.pk), reason=sentence)


def _retry(grants: Collection[Grant], lease: str, step: str, error: ConnectorError) -> None:
    retry_later(grants, lease, step=step, sentence=error.sentence)
    _log_retry(grants, step, error)


def _retry_containment(grants: Collection[Grant], error: ConnectorError) -> None:
    """Retry soon, as these may still be in use; one connection serves all of a target.

    The lease is shorter than a hanging target: another worker may hold it by now and hang, too.
    """
    delay = RETRY_UNAVAILABLE if isinstance(error, TargetUnavailable) else RETRY_REFUSED
    retry_later(grants, None, step="contain", sentence=error.sentence, max_delay=delay)
    _log_retry(grants, "contain", error)


def _log_retry(grants: Collection[Grant], step: str, error: ConnectorError) -> None:
    first, *others = grants
    log.warning(
        "grant_retry", grant=str(first.pk), others=len(others), step=step, reason=error.sentence
    )


def _log_done(event: str, grant: Grant) -> None:
    log.info(event, grant=str(grant.pk), request=grant.request.reference)
