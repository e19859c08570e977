"""The demo's own environment: keys made once and kept in a file only its owner can read."""

import base64
import os
import secrets
from pathlib import Path

from apono_portal.demo.errors import DemoError

DEFAULT_PORT = 8000


def chosen_port(text: str | None) -> int:
    """Return the port of ``PORT``, or raise DemoError with a sentence."""
    if not text:
        return DEFAULT_PORT
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise DemoError(f"PORT must be a number from 1 to 65535, not {text!r}: PORT=8080 make run")


def demo_environment(folder: Path, port: int) -> dict[str, str]:
    """Return what the demo's processes read, from ``demo.env`` in ``folder``; make it if missing.

    The address follows the port of this run. Everything else stays, since sealed secrets and the
    marks on the target depend on it.
    """
    file, database = folder / "demo.env", folder / "portal.sqlite3"
    if file.exists():
        kept = _read(file)
    elif database.exists():
        raise DemoError(
            f"{file} is gone, and {database.name} cannot be read without the keys that were in it. "
            f"Move {folder}/ away to start with a new demo."
        )
    else:
        kept = _new(database)
    environment = {
        **kept,
        "PORTAL_URL": f"http://127.0.0.1:{port}",
        "WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128",
    }
    write_private(file, "".join(f"{name}={value}\n" for name, value in environment.items()))
    return environment


def write_private(file: Path, text: str) -> None:
    """Write a file for its owner's eyes only, whole or not at all."""
    aside = file.with_name(f"{file.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    aside.replace(file)


def _new(database: Path) -> dict[str, str]:
    sealing_key = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENCRYPTION_KEYS": f"demo:{sealing_key}",
        "DATABASE_URL": f"sqlite:///{database}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "PORTAL_ID": f"demo-{secrets.token_hex(4)}",
        "DEMO_BROKER_PASSWORD": secrets.token_urlsafe(24),
    }


def _read(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name}
