"""A target system in memory, honest to the connectors' protocol, that keeps what it was asked to do.

Like PostgreSQL it refuses new sign-ins after a login's own end by itself and leaves open sessions
alone. It can be down, lose its answers, and have whoever calls it killed before or after a call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from django.utils import timezone

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import (
    AccountListing,
    Activation,
    Cleaning,
    Containment,
    Credential,
    GrantIdentity,
    GrantSpec,
    Inventory,
    ManagedAccount,
    Membership,
    OwnedObjects,
    PermissionState,
    Proof,
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
    is_disabled: bool = False
    password: str = ""
    sessions: int = 0

    @property
    def deadline(self) -> datetime:
        return self.spec.deadline

    @property
    def is_over(self) -> bool:
        return self.is_disabled or self.deadline <= timezone.now()

    @property
    def is_usable(self) -> bool:
        return bool(self.sessions) or (self.can_login and timezone.now() < self.deadline)


@dataclass
class HonestTarget:
    """Implements what the worker asks of a connector. Witnesses are shown what it is asked for."""

    logins: dict[str, Login] = field(default_factory=dict)
    mood: Mood = Mood.UP
    dies_at: int | None = None  # the call, counted from one, during which the caller is killed
    dies_after: bool = False
    pauses_at: int | None = None  # the call during which the caller is suspended
    pauses_after: bool = False
    meanwhile: Callable[[], None] = lambda: None
    witness_activation: Callable[[GrantSpec], None] = lambda spec: None
    witness_extension: Callable[[GrantSpec], None] = lambda spec: None
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
        pauses = self._is_pause()
        if pauses and not self.pauses_after:
            self.meanwhile()
        answer = do()
        if pauses and self.pauses_after:
            self.meanwhile()
        if dies:
            raise Killed
        if self.mood is Mood.LOSES_ANSWERS:
            raise TargetUnavailable("The target's answer was lost.")
        return answer

    def _is_pause(self) -> bool:
        if self.pauses_at is None:
            return False
        self.pauses_at -= 1
        if self.pauses_at > 0:
            return False
        self.pauses_at = None  # others are not suspended
        return True

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
        self.witness_activation(spec)
        return self._ask(lambda: self._activate(spec))  # type: ignore[return-value]

    def _activate(self, spec: GrantSpec) -> Activation:
        login = self.logins.get(spec.login)
        if login is None:
            if spec.deadline <= timezone.now():
                raise TargetRefused("Expired.")
            self._made += 1
            identity = GrantIdentity(spec.login, str(self._made), SYSTEM)
            self.logins[spec.login] = Login(identity, spec)
            return Activation(identity, 1, timezone.now(), timedelta(0), spec.deadline, False)
        if login.is_over or login.deadline > spec.deadline:
            raise TargetRefused("Revoked, or extended meanwhile.")
        return Activation(login.identity, 1, timezone.now(), timedelta(0), login.deadline, True)

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        self.witness_extension(spec)
        return self._ask(lambda: self._extend(spec, identity))  # type: ignore[return-value]

    def _extend(self, spec: GrantSpec, identity: GrantIdentity) -> datetime:
        login = self._login(identity)
        if login is None or login.is_disabled or spec.deadline <= timezone.now():
            raise TargetRefused("Revoked.")
        login.spec = replace(login.spec, deadline=max(login.deadline, spec.deadline))
        return login.deadline

    def _login(self, identity: GrantIdentity) -> Login | None:
        login = self.logins.get(identity.name)
        return login if login and login.identity == identity else None

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        login = self._ask(lambda: self.logins.get(spec.login))
        return login.identity if isinstance(login, Login) else None

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        return self._ask(lambda: self._issue(spec, identity))  # type: ignore[return-value]

    def _issue(self, spec: GrantSpec, identity: GrantIdentity) -> Credential:
        login = self._login(identity)
        if login is None or login.is_over:
            raise TargetRefused("Revoked.")
        login.can_login, login.password = True, f"{login.password}x"
        return Credential("memory", 1, spec.resource, spec.login, login.password)

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        return self._ask(lambda: {identity: self._contain(identity) for identity in identities})  # type: ignore[return-value]

    def _contain(self, identity: GrantIdentity) -> Containment:
        login = self._login(identity)
        if login is None:
            return Containment(0, 0, was_absent=True)
        ended, login.sessions = login.sessions, 0
        login.can_login, login.is_disabled = False, True
        return Containment(ended, 0)

    def read_permission(
        self, target: Target, permission: str, *, server_id: str = ""
    ) -> PermissionState:
        return self._ask(lambda: PermissionState())  # type: ignore[return-value]

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        return self._ask(lambda: OwnedObjects(()))  # type: ignore[return-value]

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        return self._ask(lambda: self._clean(identity))  # type: ignore[return-value]

    def _clean(self, identity: GrantIdentity) -> Cleaning:
        there = self._login(identity) is not None
        if there:
            del self.logins[identity.name]
        return Cleaning(was_absent=not there)

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        return self._ask(lambda: self._prove(identity))  # type: ignore[return-value]

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        return self._ask(lambda: {identity: self._prove(identity) for identity in identities})  # type: ignore[return-value]

    def _prove(self, identity: GrantIdentity) -> Proof:
        gone = identity.name not in self.logins
        return Proof(
            gone,
            gone,
            nothing_left_behind=True,
            checked_at=timezone.now(),
            method="Looked.",
            details={},
        )

    def list_managed_accounts(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: str = "",
        up_to: str | None = None,
    ) -> AccountListing:
        return self._ask(lambda: AccountListing(timezone.now(), SYSTEM, tuple(self._roles())))  # type: ignore[return-value]

    def _roles(self) -> list[ManagedAccount]:
        return [
            ManagedAccount(
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
        return Inventory((), (), "1", SYSTEM)

    def check_permission(self, target: Target, permission: str) -> None:
        return


connector = HonestTarget()


def begin_anew(
    witness_activation: Callable[[GrantSpec], None], witness_extension: Callable[[GrantSpec], None]
) -> HonestTarget:
    """Empty the one target there is, as the registry knows it by its module."""
    connector.__init__(  # type: ignore[misc]
        witness_activation=witness_activation, witness_extension=witness_extension
    )
    return connector
