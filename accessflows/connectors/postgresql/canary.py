"""A full cycle with a grant of the portal's own: make, reveal, log in, end, prove."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import errors, sql

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.postgresql.activation import activate, locate
from accessflows.connectors.postgresql.cleaning import clean
from accessflows.connectors.postgresql.containment import contain
from accessflows.connectors.postgresql.credentials import issue_credential
from accessflows.connectors.postgresql.proof import prove
from accessflows.connectors.postgresql.session import conninfo_for
from accessflows.connectors.protocol import Check, Credential, GrantIdentity, GrantSpec, Target

_LIFE = timedelta(minutes=2)

Grantee = psycopg.Connection[tuple[object, ...]]


def canary(target: Target, resource: str, permission: str, *, portal_id: str) -> Iterator[Check]:
    """One check for each step, as it happens; stops after the first red one and cleans up."""
    spec = GrantSpec(
        uuid.uuid4(), portal_id, resource, permission, datetime.now(UTC) + _LIFE, connection_limit=2
    )
    step = "Make"
    try:
        for step, sentence in _cycle(target, spec):
            yield Check.green(step, sentence)
    except ConnectorError as error:
        yield Check.red(f"After {step}", error.sentence)
    finally:
        _end(target, spec)


def _cycle(target: Target, spec: GrantSpec) -> Iterator[tuple[str, str]]:
    identity = activate(target, spec).identity
    yield "Make", f"The role {identity.role_name} was made and read back."
    credential = issue_credential(target, spec, identity)
    yield "Reveal", "It has a password that the server never saw."
    with _log_in(target, credential) as grantee:
        yield "Log in", f"It signs in to {spec.resource} as {spec.permission}."
        _require_wrong_password_refused(target, credential)
        yield "Wrong password", "A wrong password is refused."
        ended = contain(target, identity)
        _require_dead(grantee)
    yield "Contain", f"Its open session is over ({ended.sessions_ended} ended)."
    _require_refused(target, credential)
    yield "Log in again", "It cannot sign in any more."
    clean(target, identity)
    yield "Clean", "Nothing it left behind is in anybody's reach, and the role is gone."
    _require_proof(target, identity)
    yield "Prove", "The target's catalogs say that nothing is left."


def _log_in(target: Target, credential: Credential) -> Grantee:
    as_grantee = replace(target, user=credential.user, password=credential.password)
    try:
        return psycopg.connect(conninfo_for(as_grantee, credential.database))
    except psycopg.Error:
        raise TargetRefused(
            f"The new login cannot sign in to {credential.database}. Check that pg_hba.conf lets "
            "roles named jit_... in with scram-sha-256."
        ) from None


def _require_wrong_password_refused(target: Target, credential: Credential) -> None:
    wrong = replace(credential, password=credential.password[::-1])
    try:
        _log_in(target, wrong).close()
    except TargetRefused:
        return
    raise TargetRefused("The server let a wrong password in. Set pg_hba.conf to scram-sha-256.")


def _require_refused(target: Target, credential: Credential) -> None:
    try:
        _log_in(target, credential).close()
    except TargetRefused:
        return
    raise TargetRefused("The ended login still signs in. Check pg_hba.conf for trust.")


def _require_dead(grantee: Grantee) -> None:
    try:
        grantee.execute(sql.SQL("SELECT 1"))
    except (errors.AdminShutdown, psycopg.OperationalError):
        return
    raise TargetRefused("An open session went on after the end. Do not use this target.")


def _require_proof(target: Target, identity: GrantIdentity) -> None:
    proof = prove(target, identity)
    if not proof.holds:
        raise TargetRefused(f"Something is left of {identity.role_name}: {proof.details}.")


def _end(target: Target, spec: GrantSpec) -> None:
    """Whatever happened, and also if the caller stopped listening. The portal's reconciler takes
    what cannot be ended now: the role bears its marker and a deadline two minutes away."""
    try:
        identity = locate(target, spec)
        if identity is not None:
            contain(target, identity)
            clean(target, identity)
    except ConnectorError:
        return
