"""``manage.py rotate_keys``: encrypt all secrets with the newest key while the portal runs."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accessflows.models import Integration, ProposedChange
from apono_portal.api.models import ApiToken, PlanConfirmation, TokenConfirmation
from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.keyring import newest_key_id
from apono_portal.core.crypto.rotation import EncryptedField, Progress, SignedRows, rotate_keys
from apono_portal.notifications.models import Webhook
from apono_portal.sso.models import IdentityProvider, ProviderSession
from audit.events import EventName
from audit.services import record
from mfa.models import Authenticator, Passkey
from requests_app.evidence_checks import rows_that_count

PROGRESS_INTERVAL_SECONDS = 2.0
MAX_PAUSE_SECONDS = 0.5  # between batches, so that other writers get their turn


class Command(BaseCommand):
    help = (
        "Encrypt all secrets (TOTP keys, broker passwords, webhook addresses and secrets) and sign all "
        "evidence of access with the newest key of ENCRYPTION_KEYS. It can be interrupted and started again. Remove the old key only after "
        "it has finished without errors."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        results = {name: self._run(name, secrets) for name, secrets in encrypted_fields().items()}
        record(
            event=EventName.MFA_ROTATE_KEYS,
            actor=None,
            metadata={
                "key": newest_key_id(),
                **{name: progress.rotated for name, progress in results.items()},
                "broken": sum(len(progress.failed) for progress in results.values()),
            },
        )
        broken = {name: progress.failed for name, progress in results.items() if progress.failed}
        if broken:
            raise CommandError(
                f"No key in ENCRYPTION_KEYS decrypts or verifies these rows: {broken}. Keep the old key."
            )
        self.stdout.write("All secrets use the newest key.")

    def _run(self, name: str, secrets: EncryptedField | SignedRows) -> Progress:
        progress, total, printed_at = Progress(), secrets.rows.count(), time.monotonic()
        started_at = printed_at
        for progress in rotate_keys(secrets):
            now = time.monotonic()
            if progress.seen == total or now - printed_at >= PROGRESS_INTERVAL_SECONDS:
                printed_at = now
                self.stdout.write(
                    f"{name}: {progress.seen} of {total}, {progress.rotated} re-encrypted"
                )
            time.sleep(min(now - started_at, MAX_PAUSE_SECONDS))
            started_at = time.monotonic()
        return progress


def encrypted_fields() -> dict[str, EncryptedField | SignedRows]:
    """Return every encrypted column in the database, and the rows with a MAC."""
    return {
        "TOTP keys": EncryptedField(
            Authenticator.objects.all(), "key", encryption.TOTP_KEY, "user_id"
        ),
        "Broker passwords": EncryptedField(
            Integration.objects.all(), "encrypted_password", encryption.BROKER_PASSWORD, "secret_id"
        ),
        "Webhook addresses": EncryptedField(
            Webhook.objects.all(), "encrypted_url", encryption.WEBHOOK_ADDRESS, "secret_id"
        ),
        "Webhook secrets": EncryptedField(
            Webhook.objects.all(), "encrypted_secret", encryption.WEBHOOK_SECRET, "secret_id"
        ),
        "Client secrets": EncryptedField(
            IdentityProvider.objects.exclude(encrypted_secret=""),
            "encrypted_secret",
            encryption.CLIENT_SECRET,
            "secret_id",
        ),
        "ID tokens": EncryptedField(
            ProviderSession.objects.all(), "encrypted_id_token", encryption.ID_TOKEN, "secret_id"
        ),
        "Proposed changes": EncryptedField(
            ProposedChange.objects.exclude(encrypted_content=""),
            "encrypted_content",
            encryption.PROPOSED_CHANGE,
            "secret_id",
        ),
        **{name: SignedRows(rows) for name, rows in rows_that_count().items()},
        "Passkeys": SignedRows(Passkey.objects.all()),
        "API tokens": SignedRows(ApiToken.objects.not_over(timezone.now())),
        "Confirmations of tokens": SignedRows(TokenConfirmation.objects.all()),
        "Confirmations of plans": SignedRows(PlanConfirmation.objects.all()),
    }
