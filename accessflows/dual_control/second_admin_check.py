"""A check of the database: with dual control, two admins must have MFA."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import WARNING, CheckMessage
from django.db import connections

NOBODY_CONFIRMS = (
    "Dual control is on, and fewer than two admins have MFA: nothing that weakens protection can be "
    "confirmed."
)


def check_second_admin(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Warn if nobody could confirm a change. Runs with ``manage.py check --database default``."""
    from accessflows.dual_control.selectors import has_second_admin
    from mfa.models import Passkey

    if not settings.DUAL_CONTROL or "default" not in (databases or []):
        return []
    tables = connections["default"].introspection.table_names()
    if Passkey._meta.db_table not in tables or has_second_admin():
        return []
    hint = "Have a second admin set up MFA. `manage.py add_admin` adds one from the console."
    return [CheckMessage(WARNING, NOBODY_CONFIRMS, hint=hint, id="accessflows.W001")]
