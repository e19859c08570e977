"""A full cycle with a grant of the portal's own: make, reveal, log in, end, prove."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.postgresql.activation import activate, locate
from accessflows.connectors.postgresql.cleaning import clean
from accessflows.connectors.postgresql.connection import conninfo_for
from accessflows.connectors.postgresql.containment import contain
from accessflows.connectors.postgresql.credentials import issue_credential
from accessflows.connectors.postgresql.proof import prove
from accessflows.connectors.protocol import Check, Credential, GrantIdentity, GrantSpec, Target

_LIFE = timedelta(minutes=2)

Grantee = psycopg.Connection[tuple[object, ...]]


def canary(target: Target, resource: str, permission: str, *, portal_id: str) -> Iterator[Check]:
    """One check for each step, as it happens; stops after the first red one and cleans up."""
    cycle = _Cycle(
        target,
        GrantSpec(
            uuid.uuid4(),
            portal_id,
            resource,
            permission,
            datetime.now(UTC) + _LIFE,
            connection_limit=2,
        ),
    )
    try:
        for name, step in cycle.steps():
            try:
                sentence = step()
            except ConnectorError as error:
                yield Check.red(name, error.sentence)
                return
            yield Check.green(name, sentence)
    finally:
        cycle.end_whatever_is_left()


class _Cycle:
    """A grant of the portal's own and what is known of it so far."""

    identity: GrantIdentity
    credential: Credential
    grantee: Grantee

    def __init__(self, target: Target, spec: GrantSpec) -> None:
        self.target = target
        self.spec = spec

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("Make", self.make),
            ("Reveal", self.reveal),
            ("Log in", self.log_in),
            ("Wrong password", self.try_wrong_password),
            ("Contain", self.contain),
            ("Log in again", self.log_in_again),
            ("Clean", self.clean),
            ("Prove", self.prove),
        )

    def make(self) -> str:
        self.identity = activate(self.target, self.spec).identity
        return f"The role {self.identity.role_name} was made and read back."

    def reveal(self) -> str:
        self.credential = issue_credential(self.target, self.spec, self.identity)
        return "It has a password that the server never saw."

    def log_in(self) -> str:
        self.grantee = _log_in(self.target, self.credential)
        return f"It signs in to {self.spec.resource} as {self.spec.permission}."

    def try_wrong_password(self) -> str:
        wrong = replace(self.credential, password=self.credential.password[::-1])
        _require_refused(self.target, wrong, "The server let a wrong password in.")
        return "A wrong password is refused."

    def contain(self) -> str:
        ended = contain(self.target, self.identity).sessions_terminated
        try:
            self.grantee.execute("SELECT 1")
        except psycopg.OperationalError:
            return f"Its open session is over ({ended} ended)."
        raise TargetRefused("An open session went on after the end. Do not use this target.")

    def log_in_again(self) -> str:
        _require_refused(self.target, self.credential, "The ended login still signs in.")
        return "It cannot sign in any more."

    def clean(self) -> str:
        clean(self.target, self.identity)
        return "Nothing it left behind is in anybody's reach, and the role is gone."

    def prove(self) -> str:
        proof = prove(self.target, self.identity)
        if not proof.holds:
            raise TargetRefused(f"Something is left of {self.identity.role_name}: {proof.details}.")
        return "The target's catalogs say that nothing is left."

    def end_whatever_is_left(self) -> None:
        """Also if the caller stopped listening. What cannot be ended now is the reconciler's: the
        role bears the portal's marker and a deadline two minutes away."""
        if hasattr(self, "grantee"):
            self.grantee.close()
        try:
            identity = locate(self.target, self.spec)
            if identity is not None:
                contain(self.target, identity)
                clean(self.target, identity)
        except ConnectorError:
            return


def _log_in(target: Target, credential: Credential) -> Grantee:
    as_grantee = replace(target, user=credential.user, password=credential.password)
    try:
        return psycopg.connect(conninfo_for(as_grantee, credential.database))
    except psycopg.Error:
        raise TargetRefused(
            f"The new login cannot sign in to {credential.database}. Check that pg_hba.conf lets "
            "roles named jit_... in with scram-sha-256."
        ) from None


def _require_refused(target: Target, credential: Credential, otherwise: str) -> None:
    try:
        _log_in(target, credential).close()
    except TargetRefused:
        return
    raise TargetRefused(f"{otherwise} Let pg_hba.conf ask for scram-sha-256.")
