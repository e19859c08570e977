"""Where the portal is, and the token: from the environment, or from a file that only its user can read."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aport.errors import NOT_SIGNED_IN, CommandError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Config:
    """The portal's address, and a token."""

    url: str
    token: str = field(repr=False)


def config_path() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "aport" / "config.json"


def load() -> Config:
    """Return the configuration; ``APORT_URL`` and ``APORT_TOKEN`` come before the file."""
    stored = _read(config_path())
    url = os.environ.get("APORT_URL") or stored.get("url", "")
    token = os.environ.get("APORT_TOKEN") or stored.get("token", "")
    if not url or not token:
        raise CommandError("Not signed in. Run: aport login URL", NOT_SIGNED_IN)
    return Config(checked_url(url), token)


def save(config: Config) -> Path:
    """Write the configuration to a new file that nobody else could ever open."""
    path = config_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": config.url, "token": config.token}, file)
    draft.replace(path)
    return path


def forget() -> None:
    config_path().unlink(missing_ok=True)


def checked_url(url: str) -> str:
    """Return the address without path. A token goes out encrypted, or not beyond this machine."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    is_local = parts.hostname in LOOPBACK
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise CommandError(f"Not an address of a portal: {url}")
    if parts.scheme != "https" and not is_local:
        raise CommandError("The address must start with https://.")
    return f"{parts.scheme}://{parts.netloc}"


def _read(path: Path) -> dict[str, str]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"Cannot read {path}: {error}") from None
    return values if isinstance(values, dict) else {}
