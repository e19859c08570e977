"""The directory that sends a request."""

from dataclasses import dataclass

from apono_portal.core.web.client import ClientInfo
from apono_portal.scim.models import Directory
from audit.services import Metadata


@dataclass(frozen=True, slots=True)
class Caller:
    """A directory, the token it used, and its client: who acts in the audit log."""

    directory: Directory
    token_hint: str
    client_info: ClientInfo

    @property
    def label(self) -> str:
        return f"{self.directory.name} (SCIM)"

    def metadata(self, **values: object) -> Metadata:
        return {**values, "directory": self.directory.name, "token": f"…{self.token_hint}"}
