"""What a webhook target needs to know: its URL, of which host and port are parts."""

from dataclasses import dataclass

from accessflows.connectors.protocol import TargetSettings, setting


@dataclass(frozen=True)
class WebhookSettings(TargetSettings):
    url: str = setting(
        "Address", "", max_length=500, help_text="The receiver's URL, starting with https://."
    )

    def address(self, kind: str, host: str, port: int) -> str:
        return f"{kind}:{self.url}"
