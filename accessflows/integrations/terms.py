"""Input of an integration."""

from dataclasses import dataclass, field

from accessflows.models import Integration


@dataclass(frozen=True, kw_only=True)
class IntegrationInput:
    """All terms of an integration. ``password`` None keeps the one that is sealed."""

    name: str
    kind: str = Integration.Kind.POSTGRESQL
    host: str = ""
    port: int = 5432
    database: str = "postgres"
    broker: str = ""
    password: str | None = field(default=None, repr=False)
    sslmode: str = Integration.SslMode.VERIFY_FULL
    sslrootcert: str = ""
    connection_limit: int = 3
    url: str = ""
    terminate_sessions_on_reset: bool = True


# What decides which server the broker's password is sent to, and how well that is protected.
ADDRESS_FIELDS = ("kind", "host", "port", "database", "broker", "sslmode", "sslrootcert", "url")
