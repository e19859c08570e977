"""The key of workers, and a log that an attacker may change."""

from collections.abc import Callable

import pytest
from django.db import connection

from apono_portal.core.crypto.keyring import chain_keys
from audit.integrity import triggers
from audit.integrity.records import checkpoint_record, event_record, latest_stub
from audit.models import ChainEntry, Checkpoint, Event
from audit.verify_export.formats import FIELDS, GENESIS, chain_hash_of, hash_of, mac_of
from audit.verify_export.signed_notes import SigningKey
from tests.fixtures.posts import inbox  # noqa: F401


@pytest.fixture
def worker_key(settings) -> SigningKey:
    """Make this process a worker's: it may sign checkpoints and stubs."""
    key = SigningKey("portal.test/audit-log", b"w" * 32)
    settings.AUDIT_SIGNING_KEY = str(key)
    settings.AUDIT_PUBLIC_KEYS = [str(key.public_key)]
    return key


@pytest.fixture
def sql(db) -> Callable[..., None]:
    """Run SQL as an attacker who removed the triggers."""
    triggers.run(connection, triggers.remove_sql(connection.vendor))

    def run(statement: str, *values: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run


@pytest.fixture
def rebuild_chain(sql) -> Callable[[], None]:
    """Make all hashes and MACs valid again, with the keys of web processes and the database."""

    def rebuild() -> None:
        chain_hash = stub.chain_hash if (stub := latest_stub()) else GENESIS
        hashes: dict[int, str] = {}
        for entry in ChainEntry.objects.order_by("position"):
            values = Event.objects.values(*FIELDS["event"]).get(pk=entry.event_id)
            entry.digest = hash_of("event", event_record(values))
            chain_hash = chain_hash_of(chain_hash, entry.position, entry.digest)
            entry.chain_hash = hashes[entry.position] = chain_hash
            entry.save()
        previous = stub.checkpoint_hash if stub else GENESIS
        for checkpoint in Checkpoint.objects.order_by("number"):
            checkpoint.previous_hash = previous
            checkpoint.chain_hash = hashes[checkpoint.last_position]
            checkpoint.hash = previous = hash_of("checkpoint", checkpoint_record(checkpoint))
            checkpoint.mac = mac_of(chain_keys()[checkpoint.key_id], checkpoint.hash)
            checkpoint.save()

    return rebuild
