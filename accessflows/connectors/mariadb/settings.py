"""What a MariaDB target needs to know beyond its address: nothing."""

from dataclasses import dataclass

from accessflows.connectors.protocol import TargetSettings


@dataclass(frozen=True)
class MariaDBSettings(TargetSettings):
    pass
