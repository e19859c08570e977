"""The canary of PostgreSQL, which also signs in with its credential, before and after containment."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import psycopg

from accessflows.connectors.canary import Canary, Step, trial_grant
from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.postgresql import canary_objects
from accessflows.connectors.postgresql.connection import conninfo_for
from accessflows.connectors.protocol import Check, Connector, Credential, Target

Session = psycopg.Connection[tuple[object, ...]]


def canary(
    connector: Connector,
    target: Target,
    resource: str,
    permission: str,
    *,
    portal_id: str,
    allow_delegation: bool = False,
) -> Iterator[Check]:
    trial = trial_grant(portal_id, resource, permission, allow_delegation=allow_delegation)
    return _PostgreSQLCanary(connector, target, trial).run()


class _PostgreSQLCanary(Canary):
    session: Session | None = None

    def steps(self) -> tuple[Step, ...]:
        return (
            ("Create", self.create),
            ("Issue credential", self.issue_credential),
            ("Sign in", self.sign_in),
            ("Wrong password", self.try_wrong_password),
            ("Leave objects", self.leave_objects),
            ("Contain", self.contain),
            ("Sign in again", self.sign_in_again),
            ("Clean", self.clean),
            ("Prove", self.prove),
            ("Remove objects", self.remove_objects),
        )

    def sign_in(self) -> str:
        self.session = _sign_in(self.target, self.credential)
        return f"It can sign in to {self.spec.resource} with {self.spec.permission}."

    def try_wrong_password(self) -> str:
        wrong = replace(self.credential, password=self.credential.password[::-1])
        _require_refused(self.target, wrong, "The server accepted a wrong password.")
        return "A wrong password is refused."

    def leave_objects(self) -> str:
        """Leave one of each kind, so that a cleanup that could never finish fails here."""
        if self.session is None:
            raise TargetRefused("The canary is not signed in.")
        kinds = canary_objects.create_all(
            self.session, self.spec.permission, self.spec.grant_id.hex[:8]
        )
        return f"Objects left behind: {', '.join(kinds)}."

    def remove_objects(self) -> str:
        count = canary_objects.remove_all(self.target, self.spec.resource)
        return f"The graveyard role owns none of them anymore. Removed: {count}."

    def contain(self) -> str:
        sentence = super().contain()
        try:
            if self.session:
                self.session.execute("SELECT 1")
        except psycopg.OperationalError:
            return sentence
        raise TargetRefused("A session stayed open after containment. Do not use this target.")

    def sign_in_again(self) -> str:
        _require_refused(self.target, self.credential, "The contained login can still sign in.")
        return "It can no longer sign in."

    def remove_leftovers(self) -> None:
        if self.session:
            self.session.close()
        super().remove_leftovers()
        if self.session:
            with suppress(ConnectorError):
                canary_objects.remove_all(self.target, self.spec.resource)


def _sign_in(target: Target, credential: Credential) -> Session:
    as_grantee = replace(target, user=credential.user, password=credential.password)
    try:
        return psycopg.connect(conninfo_for(as_grantee, credential.resource))
    except psycopg.Error:
        raise TargetRefused(
            f"The new login can't sign in to {credential.resource}. Check that pg_hba.conf allows "
            "roles named jit_... with scram-sha-256."
        ) from None


def _require_refused(target: Target, credential: Credential, otherwise: str) -> None:
    try:
        _sign_in(target, credential).close()
    except TargetRefused:
        return
    raise TargetRefused(f"{otherwise} Require scram-sha-256 in pg_hba.conf.")
