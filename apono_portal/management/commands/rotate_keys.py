"""Checkpoint every kept secret anew with the newest key, while the portal runs."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accessflows.models import Integration
from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.keyring import newest_key_id
from apono_portal.core.crypto.rotation import EncryptedField, Progress, rotate_keys
from apono_portal.notifications.models import Webhook
from audit.events import EventName
from audit.services import record
from mfa.models import Authenticator

TELL_EVERY_S = 2.0
LONGEST_REST_S = 0.5  # others get their turn between batches


class Command(BaseCommand):
    help = (
        "Checkpoint every kept secret (TOTP keys, broker passwords, addresses and secrets of webhooks) with "
        "the newest key of ENCRYPTION_KEYS. May be cut short and begun again. When it says that nothing is left, the old key may be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = {name: self._run(name, sealed) for name, sealed in places().items()}
        record(
            event=EventName.MFA_ROTATE_KEYS,
            actor=None,
            metadata={
                "key": newest_key_id(),
                **{name: progress.rotated for name, progress in done.items()},
                "broken": sum(len(progress.failed) for progress in done.values()),
            },
        )
        broken = {name: progress.failed for name, progress in done.items() if progress.failed}
        if broken:
            raise CommandError(
                f"These rows do not open with any key of ENCRYPTION_KEYS: {broken}. Keep the old key."
            )
        self.stdout.write("Nothing is left under an older key.")

    def _run(self, name: str, sealed: EncryptedField) -> Progress:
        progress, total, told_at = Progress(), sealed.rows.count(), time.monotonic()
        began = told_at
        for progress in rotate_keys(sealed):
            now = time.monotonic()
            if progress.seen == total or now - told_at >= TELL_EVERY_S:
                told_at = now
                self.stdout.write(f"{name}: {progress.seen} of {total}, {progress.rotated} anew")
            time.sleep(min(now - began, LONGEST_REST_S))
            began = time.monotonic()
        return progress


def places() -> dict[str, EncryptedField]:
    """Every place in the database that holds sealed text."""
    return {
        "TOTP keys": EncryptedField(
            Authenticator.objects.all(), "key", encryption.TOTP_KEY, "user_id"
        ),
        "Broker passwords": EncryptedField(
            Integration.objects.all(), "encrypted_password", encryption.BROKER_PASSWORD, "secret_id"
        ),
        "Addresses of webhooks": EncryptedField(
            Webhook.objects.all(), "encrypted_url", encryption.WEBHOOK_ADDRESS, "secret_id"
        ),
        "Secrets of webhooks": EncryptedField(
            Webhook.objects.all(), "encrypted_secret", encryption.WEBHOOK_SECRET, "secret_id"
        ),
    }
