"""The canary: a trial grant that goes through the whole cycle on a real target."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.protocol import (
    Check,
    Connector,
    Credential,
    GrantIdentity,
    GrantSpec,
    Target,
)

LIFETIME = timedelta(minutes=2)
Step = tuple[str, Callable[[], str]]


def trial_grant(
    portal_id: str, resource: str, permission: str, *, allow_delegation: bool
) -> GrantSpec:
    """Return a grant of some minutes that belongs to no request."""
    return GrantSpec(
        uuid.uuid4(),
        portal_id,
        resource,
        permission,
        datetime.now(UTC) + LIFETIME,
        connection_limit=2,
        allow_delegation=allow_delegation,
    )


class Canary(ABC):
    """A trial grant and its state so far. Kinds of connectors add steps of their own."""

    identity: GrantIdentity
    credential: Credential

    def __init__(self, connector: Connector, target: Target, spec: GrantSpec) -> None:
        self.connector, self.target, self.spec = connector, target, spec

    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """Return the steps in order."""

    def run(self) -> Iterator[Check]:
        """Yield one check per step as it completes; stop after the first failed one and clean up."""
        try:
            for name, step in self.steps():
                try:
                    sentence = step()
                except ConnectorError as error:
                    yield Check.failed(name, error.sentence)
                    return
                yield Check.passed(name, sentence)
        finally:
            self.remove_leftovers()

    def create(self) -> str:
        self.identity = self.connector.activate(self.target, self.spec).identity
        return f"{self.identity.name} was created."

    def issue_credential(self) -> str:
        self.credential = self.connector.issue_credential(self.target, self.spec, self.identity)
        return "A credential was issued."

    def contain(self) -> str:
        terminated = self.connector.contain(self.target, self.identity).sessions_terminated
        return f"Nobody can use it anymore. Sessions terminated: {terminated}."

    def clean(self) -> str:
        self.connector.clean(self.target, self.identity)
        return "What it left behind was cleaned up, and the login was dropped."

    def prove(self) -> str:
        proof = self.connector.prove(self.target, self.identity)
        if not proof.holds:
            name = self.identity.name
            raise TargetRefused(f"Traces of {name} remain: {dict(proof.details)}.")
        return "The target reports that nothing is left."

    def remove_leftovers(self) -> None:
        """Remove the trial grant, also if the caller stopped iterating.

        If that fails, the worker's scan removes it later: it has the portal's marker and a deadline.
        """
        try:
            identity = self.connector.locate(self.target, self.spec)
            if identity is not None:
                self.connector.contain(self.target, identity)
                self.connector.clean(self.target, identity)
        except ConnectorError:
            return


class SignInCanary(Canary):
    """It also signs in with its credential, before and after containment."""

    @abstractmethod
    def may_sign_in(self) -> bool:
        """Return whether the target accepts the credential. Raises ConnectorError."""

    def steps(self) -> tuple[Step, ...]:
        return (
            ("Create", self.create),
            ("Issue credential", self.issue_credential),
            ("Sign in", self.sign_in),
            ("Contain", self.contain),
            ("Sign in again", self.sign_in_again),
            ("Clean", self.clean),
            ("Prove", self.prove),
        )

    def sign_in(self) -> str:
        if not self.may_sign_in():
            raise TargetRefused("The new account can't sign in.")
        return "It can sign in."

    def sign_in_again(self) -> str:
        if self.may_sign_in():
            raise TargetRefused("The contained account can still sign in.")
        return "It can no longer sign in."

    @property
    def as_grantee(self) -> Target:
        """The target with the credential in place of the broker's."""
        user, password = self.credential.user, self.credential.password
        return replace(self.target, user=user, password=password)
