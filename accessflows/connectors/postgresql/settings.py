"""What a PostgreSQL target needs to know beyond its address."""

from dataclasses import dataclass

from accessflows.connectors.protocol import Target, TargetSettings, setting


@dataclass(frozen=True)
class PostgreSQLSettings(TargetSettings):
    database: str = setting(
        "Maintenance database", "postgres", help_text="The database the broker connects to first."
    )


def maintenance_database(target: Target) -> str:
    return target.settings_as(PostgreSQLSettings).database
