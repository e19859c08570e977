"""System checks: the settings of signed checkpoints."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from apono_portal.core.web.syslog import parse_server
from audit.integrity.signing_keys import public_keys


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error for every setting with which checkpoints would not be signed or sent."""
    errors: list[CheckMessage] = []
    try:
        public_keys()
    except ImproperlyConfigured as error:
        errors.append(Error(str(error), id="audit.E001"))
    for name in ("AUDIT_CHECKPOINT_SYSLOG", "SIEM_SYSLOG"):
        if server := getattr(settings, name):
            try:
                parse_server(server)
            except ValueError as error:
                errors.append(Error(f"{name}: {error}", id="audit.E002"))
    return errors


def check_public_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn if nobody could verify signed checkpoints. Runs with ``check --deploy``."""
    if settings.AUDIT_PUBLIC_KEYS:
        return []
    message = (
        "AUDIT_PUBLIC_KEYS is empty, so the audit log has no checkpoints that others can verify."
    )
    hint = "Run `manage.py audit make-key FILE`, give the file to workers and the public key to every process."
    return [checks.Warning(message, hint=hint, id="audit.W001")]
