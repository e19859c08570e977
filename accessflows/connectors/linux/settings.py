"""What a Linux host needs to know beyond its address: the key by which it is recognized."""

from dataclasses import dataclass

from accessflows.connectors.linux.keys import parse_host_key
from accessflows.connectors.protocol import TargetSettings, setting


@dataclass(frozen=True)
class LinuxSettings(TargetSettings):
    host_key: str = setting(
        "Host key",
        "",
        max_length=1000,
        help_text="One line, printed by the last step. The portal connects to no host with another key.",
    )

    def address(self, kind: str, host: str, port: int) -> str:
        """Another key is another host: flows that use it have to be looked at again."""
        key = parse_host_key(self.host_key)
        return f"{kind}://{host}:{port}/{key.fingerprint if key else ''}"
