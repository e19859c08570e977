"""Run a trial grant through the whole cycle: create, sign in, contain, clean, prove."""

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
    """Yield one check per step as it completes; stop after the first failed one and clean up."""
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
                yield Check.failed(name, error.sentence)
                return
            yield Check.passed(name, sentence)
    finally:
        cycle.remove_leftovers()


class _Cycle:
    """A trial grant and its state so far."""

    identity: GrantIdentity
    credential: Credential
    grantee: Grantee

    def __init__(self, target: Target, spec: GrantSpec) -> None:
        self.target = target
        self.spec = spec

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("Create", self.create),
            ("Issue credential", self.issue_credential),
            ("Sign in", self.sign_in),
            ("Wrong password", self.try_wrong_password),
            ("Contain", self.contain),
            ("Sign in again", self.sign_in_again),
            ("Clean", self.clean),
            ("Prove", self.prove),
        )

    def create(self) -> str:
        self.identity = activate(self.target, self.spec).identity
        return f"The role {self.identity.role_name} was created and verified."

    def issue_credential(self) -> str:
        self.credential = issue_credential(self.target, self.spec, self.identity)
        return "It has a password that the server has never seen."

    def sign_in(self) -> str:
        self.grantee = _sign_in(self.target, self.credential)
        return f"It can sign in to {self.spec.resource} with {self.spec.permission}."

    def try_wrong_password(self) -> str:
        wrong = replace(self.credential, password=self.credential.password[::-1])
        _require_refused(self.target, wrong, "The server accepted a wrong password.")
        return "A wrong password is refused."

    def contain(self) -> str:
        terminated = contain(self.target, self.identity).sessions_terminated
        try:
            self.grantee.execute("SELECT 1")
        except psycopg.OperationalError:
            return f"Its open sessions were terminated ({terminated})."
        raise TargetRefused(
            "An open session stayed open after containment. Do not use this target."
        )

    def sign_in_again(self) -> str:
        _require_refused(self.target, self.credential, "The contained login can still sign in.")
        return "It can no longer sign in."

    def clean(self) -> str:
        clean(self.target, self.identity)
        return "What it left behind is out of reach, and the role was dropped."

    def prove(self) -> str:
        proof = prove(self.target, self.identity)
        if not proof.holds:
            raise TargetRefused(f"Something of {self.identity.role_name} is left: {proof.details}.")
        return "The target's catalogs show that nothing is left."

    def remove_leftovers(self) -> None:
        """Remove the trial grant, also if the caller stopped iterating.

        If that fails the worker's scan removes it later: the role has the portal's marker and a deadline.
        """
        if hasattr(self, "grantee"):
            self.grantee.close()
        try:
            identity = locate(self.target, self.spec)
            if identity is not None:
                contain(self.target, identity)
                clean(self.target, identity)
        except ConnectorError:
            return


def _sign_in(target: Target, credential: Credential) -> Grantee:
    as_grantee = replace(target, user=credential.user, password=credential.password)
    try:
        return psycopg.connect(conninfo_for(as_grantee, credential.database))
    except psycopg.Error:
        raise TargetRefused(
            f"The new login can't sign in to {credential.database}. Check that pg_hba.conf allows "
            "roles named jit_... with scram-sha-256."
        ) from None


def _require_refused(target: Target, credential: Credential, otherwise: str) -> None:
    try:
        _sign_in(target, credential).close()
    except TargetRefused:
        return
    raise TargetRefused(f"{otherwise} Require scram-sha-256 in pg_hba.conf.")
