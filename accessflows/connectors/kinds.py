"""What a kind of connector declares: its promises, its settings, and how a target is set up.

A declaration imports no driver. The pages about a kind are made from it, and so is docs/targets.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from pkgutil import resolve_name

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.protocol import Connector, TargetSettings


class CredentialKind(StrEnum):
    """What a grantee is given."""

    PASSWORD = "Password, shown once"
    KEY_PAIR = "Key pair"
    CERTIFICATE = "Certificate"
    MEMBERSHIP = "No credential: a membership of an existing account"


class Keeper(StrEnum):
    """Who keeps a promise."""

    TARGET = "target"
    PORTAL = "portal"
    PARTLY = "partly"
    NOBODY = "nobody"
    AUTOMATION = "automation"

    @property
    def label(self) -> str:
        return KEEPERS[self]


KEEPERS = {
    Keeper.TARGET: "The target does it, even if the portal is down.",
    Keeper.PORTAL: "The portal does it, while a worker runs and reaches the target.",
    Keeper.PARTLY: "In part.",
    Keeper.NOBODY: "Nobody does it.",
    Keeper.AUTOMATION: "Depends on your automation.",
}


@dataclass(frozen=True)
class Promise:
    """One promise. `short` fits on a tile; `sentence` says exactly what holds."""

    keeper: Keeper
    short: str
    sentence: str


@dataclass(frozen=True)
class Promises:
    """What a kind promises. Never more than its contract tests show.

    `end`: new sign-ins are refused after the end. `sessions`: those that are open are terminated.
    `leftovers`: what a grantee leaves behind is listed.
    """

    credential: CredentialKind
    account: str
    end: Promise
    sessions: Promise
    leftovers: Promise

    def __iter__(self) -> Iterator[Promise]:
        return iter((self.end, self.sessions, self.leftovers))

    @property
    def is_end_enforced(self) -> bool:
        return self.end.keeper == Keeper.TARGET


@dataclass(frozen=True)
class SetUpStep:
    """Something an administrator runs on the target, once. `note` says where and as whom."""

    title: str
    note: str
    script: str


@dataclass(frozen=True)
class ConnectorKind:
    """One kind of target system: the entry point of its package.

    `connector` is the path of its class, ``package.module:Class``, imported on first use. `library` is
    what must be installed for it, `extra` the optional dependency that brings it. `mark_label` names
    what tells a grant's account from others of the same name; `resource_label` what a resource is.
    `negotiates_tls`: "encrypt if the server offers it" is a choice; without `uses_tls`, nothing about TLS is
    asked, as the kind verifies its servers in another way. `set_up` returns what to run on a new target
    for a broker of this name and password, and `set_up_note` says where the password is; `check_secret`
    raises TargetRefused for a password that cannot be one.
    """

    name: str
    label: str
    summary: str
    icon: str
    promises: Promises
    connector: str
    settings: type[TargetSettings]
    set_up: Callable[[str, str], tuple[SetUpStep, ...]]
    default_port: int = 0
    broker_label: str = "Broker account"
    credential_label: str = "Broker password"
    default_broker: str = "apono_portal"
    mark_label: str = "Mark"
    resource_label: str = "Resource"
    limits_connections: bool = False
    negotiates_tls: bool = False
    uses_tls: bool = True
    set_up_note: str = "The broker's password was generated for this page and is filled in below; this holds only its hash."
    library: str = ""
    extra: str = ""
    check_secret: Callable[[str], object] = str

    @property
    def uses_url(self) -> bool:
        """Whether a setting ``url`` replaces host, port, broker account and TLS."""
        return any(setting.name == "url" for setting in fields(self.settings))

    def load(self) -> Connector:
        """Return the connector. Raises TargetRefused if its library is missing."""
        try:
            return _load(self.connector)
        except ImportError:
            if not self.library:
                raise
            raise TargetRefused(
                f"{self.label} needs the library {self.library}, which is not installed. Install the "
                f"portal's extra “{self.extra}” (pip install {self.library}) and restart the portal."
            ) from None


@cache
def _load(path: str) -> Connector:
    loaded = resolve_name(path)
    connector: Connector = loaded() if isinstance(loaded, type) else loaded
    return connector
