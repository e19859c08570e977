"""The steps a worker does on targets: contain, activate, clean. Each may be done twice.

A step gets grants under a lease, asks the target outside any transaction, and writes what came of it
where the lease still holds.
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
from requests_app.grants.proof import record_containment, record_ends, record_nothing_made
from requests_app.grants.records import save_identity, save_owned_objects
from requests_app.grants.target_access import draft, iter_managed_roles, reach
from requests_app.models import Grant
from requests_app.worker.deadline_watchdog import sessions_told

log = structlog.get_logger(__name__)

_TRACES_LEFT = "The target still shows traces of the login. The portal cleans again."
SOON = timedelta(seconds=0.5)  # unreachable or busy: that may be over any moment
SOON_ENOUGH = timedelta(seconds=5)  # it refuses us: somebody has to mend that first


def contain(grants: list[Grant], lease: str) -> None:
    """Cut all use, of many grants of one integration over one connection.

    A grant whose activation never answered is looked for first; where nothing was made, nothing is
    to be ended. Two workers may contain the same grant at once, so a lease that ran out stops
    nothing here.
    """
    try:
        with draft():
            integration, connector, target = reach(grants[0])
        known = _identify(grants, lease, integration, connector, target)
        if not known:
            return
        with draft():
            answers = connector.contain_many(target, list(known.values()))
    except ConnectorError as error:
        _contain_again(grants, lease, error)
        return
    contained: dict[Grant, Containment] = {}
    for grant, identity in known.items():
        answer = answers.get(identity, TargetUnavailable("The target gave no answer."))
        if isinstance(answer, ConnectorError):
            _contain_again([grant], lease, answer)
        else:
            on_time = sessions_told.about(grant.pk)
            ended = max(answer.sessions_terminated, on_time)
            contained[grant] = replace(answer, sessions_terminated=ended)
    for grant in record_containment(contained=contained):
        _log_done("grant_contained", grant)


def activate(grants: list[Grant], lease: str) -> None:
    """Make one grant. Trouble on the way is tried again for a while, a refusal is final."""
    [grant] = grants
    latest = min(filter(None, [grant.request.pending_until, grant.deadline]))
    if latest <= timezone.now() and not _is_in_use(grant):
        sentence = f"Access could not be opened in time. {grant.last_error}".strip()
        _give_up(grant, lease, sentence)
        return
    if not confirm_activation(grant=grant):
        release([grant], lease)
        return
    try:
        with draft():
            integration, connector, target = reach(grant)
            activation = connector.activate(target, grant.spec(integration))
    except TargetUnavailable as error:
        retry_later([grant], lease, step="activate", sentence=error.sentence, latest=latest)
        log.warning("grant_retry", grant=str(grant.pk), step="activate", reason=error.sentence)
    except ConnectorError as error:
        _give_up(grant, lease, error.sentence)
    else:
        record_activation(grant=grant, lease=lease, activation=activation)
        _log_done("grant_activated", grant)


def clean(grants: list[Grant], lease: str) -> None:
    """List what each left behind, put it away, and have the target prove of all that they are gone.

    A target that does not answer would keep each of them waiting, so the rest is given back.
    """
    try:
        with draft():
            _, connector, target = reach(grants[0])
    except ConnectorError as error:
        _retry(grants, lease, "clean", error)
        return
    cleaned: dict[Grant, GrantIdentity] = {}
    for number, grant in enumerate(grants):
        try:
            if identity := _put_away(grant, lease, connector, target):
                cleaned[grant] = identity
        except ConnectorError as error:
            _retry([grant], lease, "clean", error)
            if isinstance(error, TargetUnavailable):
                release(grants[number + 1 :], lease)
                break
    if cleaned:
        _prove(cleaned, lease, connector, target)


def _put_away(
    grant: Grant, lease: str, connector: Connector, target: Target
) -> GrantIdentity | None:
    """Clean up after one grant. None if another worker holds it by now."""
    with draft():
        identity = _identity_of(grant)
        save_owned_objects(grant, lease, connector.find_owned_objects(target, identity))
        if not renew([grant], lease):
            return None
        connector.clean(target, identity)
    return identity


def _prove(
    cleaned: dict[Grant, GrantIdentity], lease: str, connector: Connector, target: Target
) -> None:
    try:
        with draft():
            proofs = connector.prove_many(target, list(cleaned.values()))
    except ConnectorError as error:
        _retry(cleaned, lease, "clean", error)
        return
    proven: dict[Grant, dict[str, object]] = {}
    for grant, identity in cleaned.items():
        proof = proofs.get(identity, TargetUnavailable("The target gave no answer."))
        if isinstance(proof, ConnectorError):
            _retry([grant], lease, "clean", proof)
        elif not proof.holds:
            _retry([grant], lease, "clean", TargetUnavailable(_TRACES_LEFT))
        else:
            proven[grant] = proof.as_dict()
    for grant in record_ends(proven=proven, lease=lease):
        _log_done("grant_ended", grant)


def _identify(
    grants: list[Grant], lease: str, integration: Integration, connector: Connector, target: Target
) -> dict[Grant, GrantIdentity]:
    """Return the grants that exist on the target; close those of which nothing was made."""
    known: dict[Grant, GrantIdentity] = {}
    for grant in grants:
        identity = grant.identity
        if identity is None:
            try:
                with draft():
                    identity = connector.locate(target, grant.spec(integration))
            except TargetUnavailable:
                raise
            except ConnectorError as error:
                _retry([grant], lease, "contain", error)
                continue
            if identity is None:
                record_nothing_made(grant=grant, lease=lease)
                _log_done("grant_never_made", grant)
                continue
            save_identity(grant, identity)
        known[grant] = identity
    return known


def _is_in_use(grant: Grant) -> bool:
    """The login of a grant that should long be open is there and was shown to its owner.

    Then it is the portal's copy that is old, as after a restore from a backup, and not the login.
    """
    if grant.deadline <= timezone.now():
        return False
    try:
        with draft():
            integration, connector, target = reach(grant)
            identity = connector.locate(target, grant.spec(integration))
        known = [identity] if identity else []
        rolls = iter_managed_roles(connector, target, lambda after: known)
        return any(
            role.grant_id == grant.pk and role.can_login for _, roll in rolls for role in roll.roles
        )
    except ConnectorError:
        return False


def _identity_of(grant: Grant) -> GrantIdentity:
    if grant.identity is None:
        raise TargetRefused("The portal does not know which login is this grant's.")
    return grant.identity


def _give_up(grant: Grant, lease: str, sentence: str) -> None:
    fail_activation(grant=grant, sentence=sentence)
    release([grant], lease)
    log.warning("activation_failed", grant=str(grant.pk), reason=sentence)


def _retry(grants: Collection[Grant], lease: str, step: str, error: ConnectorError) -> None:
    retry_later(grants, lease, step=step, sentence=error.sentence)
    _log_retry(grants, step, error)


def _contain_again(grants: Collection[Grant], lease: str, error: ConnectorError) -> None:
    """Somebody may still use these: ask often. One connection asks for all of a target."""
    longest = SOON if isinstance(error, TargetUnavailable) else SOON_ENOUGH
    retry_later(grants, lease, step="contain", sentence=error.sentence, longest=longest)
    _log_retry(grants, "contain", error)


def _log_retry(grants: Collection[Grant], step: str, error: ConnectorError) -> None:
    first, *others = grants
    log.warning(
        "grant_retry", grant=str(first.pk), others=len(others), step=step, reason=error.sentence
    )


def _log_done(what: str, grant: Grant) -> None:
    log.info(what, grant=str(grant.pk), request=grant.request.reference)
