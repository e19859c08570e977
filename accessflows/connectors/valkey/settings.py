"""What a Valkey target needs to know beyond its address: nothing."""

from dataclasses import dataclass

from accessflows.connectors.protocol import TargetSettings


@dataclass(frozen=True)
class ValkeySettings(TargetSettings):
    pass
