"""The input of an integration, from a form or a program to the services."""

from dataclasses import dataclass, field

from accessflows.models import Integration


@dataclass(frozen=True, kw_only=True)
class IntegrationInput:
    """All settings of an integration. ``password`` None keeps the stored one."""

    name: str
    kind: str = Integration.Kind.POSTGRESQL
    host: str = ""
    port: int = 5432
    database: str = "postgres"
    broker: str = ""
    password: str | None = field(default=None, repr=False)
    sslmode: str = Integration.SslMode.VERIFY_FULL
    ca_certificates: str = ""
    connection_limit: int = 3
    url: str = ""
    terminate_sessions_on_reset: bool = True


# What decides which server the broker's password is sent to, and how well that is protected.
ADDRESS_FIELDS = ("kind", "host", "port", "database", "broker", "sslmode", "ca_certificates", "url")
OTHER_FIELDS = ("name", "connection_limit", "terminate_sessions_on_reset")
