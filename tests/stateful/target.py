"""A target system in memory, honest to the connectors' protocol, that keeps what it was asked to do.

Like PostgreSQL it refuses new sign-ins after a login's own end by itself and leaves open sessions
alone. It can be down, lose its answers, and have whoever calls it killed before or after a call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from django.utils import timezone

from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from accessflows.connectors.protocol import (
    Activation,
    CapabilityRole,
    Cleaning,
    Containment,
    Credential,
    GrantIdentity,
    GrantSpec,
    Inventory,
    ManagedRole,
    Membership,
    OwnedObjects,
    PermissionState,
    Proof,
    RoleListing,
    Target,
)

SYSTEM = "in-memory"


class Mood(Enum):
    UP = "up"
    DOWN = "down"
    LOSES_ANSWERS = "loses answers"


class Killed(BaseException):
    """What no code of the worker's catches: it is gone."""


@dataclass
class Login:
    identity: GrantIdentity
    spec: GrantSpec
    can_login: bool = False
    password: str = ""
    sessions: int = 0

    @property
    def is_usable(self) -> bool:
        return bool(self.sessions) or (self.can_login and timezone.now() < self.spec.deadline)


@dataclass
class HonestTarget:
    """Implements what the worker asks of a connector. ``witness`` is shown every login being made."""

    logins: dict[str, Login] = field(default_factory=dict)
    mood: Mood = Mood.UP
    dies_at: int | None = None  # the call, counted from one, during which the caller is killed
    dies_after: bool = False
    witness: Callable[[GrantSpec], None] = lambda spec: None
    _made: int = 0

    def _ask(self, do: Callable[[], object]) -> object:
        if self.mood is Mood.DOWN:
            raise TargetUnavailable("The target is down.")
        dies = False
        if self.dies_at is not None:
            self.dies_at -= 1
            dies = self.dies_at == 0
        if dies and not self.dies_after:
            raise Killed
        answer = do()
        if dies:
            raise Killed
        if self.mood is Mood.LOSES_ANSWERS:
            raise TargetUnavailable("The target's answer was lost.")
        return answer

    # --- What people do on the target -------------------------------------------------------------
    def sign_in(self, credential: Credential) -> bool:
        login = self.logins.get(credential.user)
        right = login is not None and login.can_login and login.password == credential.password
        if login is None or not right or timezone.now() >= login.spec.deadline:
            return False
        login.sessions += 1
        return True

    # --- The protocol -----------------------------------------------------------------------------
    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        return self._ask(lambda: self._activate(spec))  # type: ignore[return-value]

    def _activate(self, spec: GrantSpec) -> Activation:
        self.witness(spec)
        there = spec.role_name in self.logins
        if not there:
            self._made += 1
            identity = GrantIdentity(spec.role_name, self._made, SYSTEM)
            self.logins[spec.role_name] = Login(identity, spec)
        identity = self.logins[spec.role_name].identity
        now = timezone.now()
        return Activation(identity, 1, now, timedelta(0), spec.deadline, there)

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        found = self._ask(lambda: self.logins.get(spec.role_name))
        return found.identity if isinstance(found, Login) else None

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        return self._ask(lambda: self._issue(spec))  # type: ignore[return-value]

    def _issue(self, spec: GrantSpec) -> Credential:
        login = self.logins[spec.role_name]
        login.can_login, login.password = True, f"{login.password}x"
        return Credential("memory", 1, spec.resource, spec.role_name, login.password)

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        return self._ask(lambda: {each: self._contain(each) for each in identities})  # type: ignore[return-value]

    def _contain(self, identity: GrantIdentity) -> Containment:
        login = self.logins.get(identity.role_name)
        if login is None:
            return Containment(0, 0, was_absent=True)
        ended, login.sessions, login.can_login = login.sessions, 0, False
        return Containment(ended, 0)

    def read_permission(
        self, target: Target, permission: str, *, system_identifier: str = ""
    ) -> PermissionState:
        return self._ask(lambda: PermissionState())  # type: ignore[return-value]

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        return self._ask(lambda: OwnedObjects(()))  # type: ignore[return-value]

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        return self._ask(  # type: ignore[return-value]
            lambda: Cleaning(was_absent=self.logins.pop(identity.role_name, None) is None)
        )

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        return self._ask(lambda: self._prove(identity))  # type: ignore[return-value]

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        return self._ask(lambda: {each: self._prove(each) for each in identities})  # type: ignore[return-value]

    def _prove(self, identity: GrantIdentity) -> Proof:
        gone = identity.role_name not in self.logins
        return Proof(
            gone,
            gone,
            nothing_left_behind=True,
            checked_at=timezone.now(),
            method="Looked.",
            details={},
        )

    def list_managed_roles(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: int = 0,
        up_to: int | None = None,
    ) -> RoleListing:
        return self._ask(lambda: RoleListing(timezone.now(), SYSTEM, tuple(self._roles())))  # type: ignore[return-value]

    def _roles(self) -> list[ManagedRole]:
        return [
            ManagedRole(
                login.identity,
                name,
                login.spec.grant_id,
                login.spec.portal_id,
                login.spec.deadline,
                login.spec.deadline,
                login.can_login,
                has_attributes=False,
                memberships=(Membership(login.spec.permission, admin=False, may_set=False),),
            )
            for name, login in self.logins.items()
        ]

    def discover(self, target: Target) -> Inventory:
        return Inventory((), tuple[CapabilityRole, ...](), 1, SYSTEM)

    def check_permission(self, target: Target, permission: str) -> None:
        return


connector = HonestTarget()


def begin_anew(witness: Callable[[GrantSpec], None]) -> HonestTarget:
    """Empty the one target there is, as the registry knows it by its module."""
    connector.__init__(witness=witness)  # type: ignore[misc]
    return connector
