"""Print a new key for ENCRYPTION_KEYS."""

import base64
import secrets
from itertools import count
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apono_portal.core.crypto.keyring import KEY_BYTES, parse_keyring


class Command(BaseCommand):
    help = (
        "Print a new encryption key as 'id:base64url'. Put it first in ENCRYPTION_KEYS, before the "
        "keys in use and separated by a comma, restart, then run `manage.py rotate_keys`."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--id", help="1 to 8 ASCII letters or digits; by default the next of k1, k2, …"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        used = _ids_in_use()
        key_id = options["id"] or next(k for n in count(1) if (k := f"k{n}") not in used)
        if key_id in used:
            raise CommandError(f"Key {key_id} is already in ENCRYPTION_KEYS. Choose another id.")
        if not (len(key_id) <= 8 and key_id.isascii() and key_id.isalnum()):
            raise CommandError("A key id has 1 to 8 ASCII letters or digits.")
        key = base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        self.stdout.write(f"{key_id}:{key}")


def _ids_in_use() -> set[str]:
    try:
        return set(parse_keyring(settings.ENCRYPTION_KEYS))
    except ImproperlyConfigured:
        return set()
