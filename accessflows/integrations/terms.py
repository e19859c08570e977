"""The input of an integration, from a form or a program to the services."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from accessflows.connectors.registry import POSTGRESQL
from accessflows.models import Integration


@dataclass(frozen=True, kw_only=True)
class IntegrationInput:
    """All settings of an integration. ``password`` None keeps the stored one."""

    name: str
    kind: str = POSTGRESQL
    host: str = ""
    port: int = 5432
    settings: Mapping[str, object] = field(default_factory=dict)
    broker: str = ""
    password: str | None = field(default=None, repr=False)
    sslmode: str = Integration.SslMode.VERIFY_FULL
    ca_certificates: str = ""
    connection_limit: int = 3
    terminate_sessions_on_reset: bool = True


# What decides which server the broker's password is sent to, and how well that is protected.
ADDRESS_FIELDS = ("kind", "host", "port", "settings", "broker", "sslmode", "ca_certificates")
OTHER_FIELDS = ("name", "connection_limit", "terminate_sessions_on_reset")
