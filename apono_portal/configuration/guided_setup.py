"""A guided first start: questions, an environment file for its owner's eyes, the database, the first admin.

Nothing is written before the portal has been started with the answers.
"""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from apono_portal.configuration.environment import Environment
from apono_portal.configuration.registry import SETTINGS
from audit.verify_export.signed_notes import make_signing_key

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = {
    "PORTAL_URL": "Address that users open, such as https://access.example.org",
    "DATABASE_URL": "Database, such as postgres://portal:password@db.example.org/portal (empty: SQLite, one machine)",
    "EMAIL_URL": "Mail server, such as smtp+tls://user:password@mail.example.org:587 (empty: no email)",
    "TRUSTED_PROXIES": "Number of reverse proxies in front",
}
WRITTEN = {*QUESTIONS, "SECRET_KEY", "ENCRYPTION_KEYS", "AUDIT_PUBLIC_KEYS"}
Ask = Callable[[str], str]


class SetupFailed(Exception):
    """The set-up stops. The message says why and what to do."""


def ask_settings(ask: Ask) -> dict[str, str]:
    """Ask for each setting until the answer can be used."""
    answers: dict[str, str] = {}
    for name, question in QUESTIONS.items():
        if answer := _ask_setting(ask, name, question):
            answers[name] = answer
    return answers


def _ask_setting(ask: Ask, name: str, question: str) -> str:
    default = SETTINGS[name].default
    prompt = f"{question}{f' [{default}]' if default else ''}: "
    complaint = ""
    while True:
        answer = ask(f"{complaint}{prompt}").strip() or default
        try:
            Environment({name: answer}).check(SETTINGS[name])
        except ImproperlyConfigured as error:
            complaint = f"{error}\n"
        else:
            return answer


def new_secrets() -> dict[str, str]:
    key = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENCRYPTION_KEYS": f"k1:{key}",
    }


def write_environment(folder: Path, answers: Mapping[str, str]) -> Path:
    """Write ``portal.env`` and ``audit.key``, readable by their owner only; return the first."""
    key = make_signing_key(urlsplit(answers["PORTAL_URL"]).netloc)
    values = {**answers, **new_secrets(), "AUDIT_PUBLIC_KEYS": str(key.public_key)}
    _require_startable(values)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_private(folder / "audit.key", f"{key}\n")
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    return _write_private(folder / "portal.env", lines)


def run_command(file: Path, *arguments: str) -> str:
    """Run a command of manage.py with an environment file; return its output."""
    return _run({"ENV_FILE": str(file)}, *arguments)


def require_new(folder: Path) -> None:
    """Refuse to replace keys, without which nothing encrypted can be read."""
    for name in ("portal.env", "audit.key"):
        if (folder / name).exists():
            raise SetupFailed(f"{folder / name} exists already. Move it away to start anew.")


def _require_startable(values: Mapping[str, str]) -> None:
    if "DATABASE_URL" not in values:
        (ROOT / "var").mkdir(exist_ok=True)
    _run(values, "check_settings")


def _run(variables: Mapping[str, str], *arguments: str) -> str:
    others = {name: value for name, value in os.environ.items() if name not in WRITTEN}
    process = subprocess.run(  # noqa: S603  this program, with arguments of our own
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**others, **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if process.returncode:
        lines = [line for line in process.stdout.splitlines() if line.startswith("Wrong: ")]
        reason = "\n".join(lines) or process.stderr.strip()
        raise SetupFailed(f"{reason}\nNothing more was done.")
    return process.stdout


def _write_private(file: Path, text: str) -> Path:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as lines:
        lines.write(text)
    return file
