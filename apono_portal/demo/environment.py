"""The demo's environment: keys generated once, in a file that only its owner can read."""

import base64
import os
import secrets
from pathlib import Path

from apono_portal.demo.errors import DemoError
from audit.verify_export.signed_notes import make_signing_key, parse_signing_key

DEFAULT_PORT = 8000
SIGNING_KEY = "audit-signing-key"


def parse_port(text: str | None) -> int:
    """Return the value of ``PORT``, or raise DemoError."""
    if not text:
        return DEFAULT_PORT
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise DemoError(f"PORT must be a number from 1 to 65535, not {text!r}: PORT=8080 make run")


def demo_environment(folder: Path, port: int) -> dict[str, str]:
    """Return the environment of the demo's processes, stored in ``demo.env`` in ``folder``.

    Only the URL changes, with the port. Encrypted secrets and the markers on the target depend on the
    rest. The key that signs audit checkpoints is in a file of its own, for the worker alone
    (`worker_environment`).
    """
    file, database = folder / "demo.env", folder / "portal.sqlite3"
    if file.exists():
        stored = _read(file)
    elif database.exists():
        raise DemoError(
            f"{file} is missing, and {database.name} cannot be read without the keys in it. "
            f"Move {folder}/ away to start a new demo."
        )
    else:
        stored = _generate(database)
    environment = {
        **stored,
        "PORTAL_URL": f"http://localhost:{port}",  # an IP address has no passkeys
        "WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128",
        "AUDIT_PUBLIC_KEYS": _public_key(folder / SIGNING_KEY, stored["PORTAL_ID"]),
    }
    write_private(file, "".join(f"{name}={value}\n" for name, value in environment.items()))
    return environment


def worker_environment(folder: Path) -> dict[str, str]:
    """Return what only the demo's worker gets: the key that signs audit checkpoints, and where they go."""
    return {
        "AUDIT_SIGNING_KEY_FILE": str(folder / SIGNING_KEY),
        "AUDIT_CHECKPOINT_FILE": str(folder / "audit-checkpoints.txt"),
        "AUDIT_CHECKPOINT_MINUTES": "1",
    }


def _public_key(file: Path, portal_id: str) -> str:
    """Return the public key of a signing key, which is made if there is none."""
    if not file.exists():
        write_private(file, f"{make_signing_key(portal_id)}\n")
    return str(parse_signing_key(file.read_text().strip()).public_key)


def write_private(file: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only."""
    temporary = file.with_name(f"{file.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    temporary.replace(file)


def _generate(database: Path) -> dict[str, str]:
    key = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENCRYPTION_KEYS": f"demo:{key}",
        "DATABASE_URL": f"sqlite:///{database}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "PORTAL_ID": f"demo-{secrets.token_hex(4)}",
        "DEMO_BROKER_PASSWORD": secrets.token_urlsafe(24),
    }


def _read(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name}
