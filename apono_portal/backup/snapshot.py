"""What a database holds at one moment: the manifest of a backup, and what it is compared with."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max
from django.utils import timezone

import apono_portal
from apono_portal.core.crypto.keyring import key_ids
from audit.models import ChainEntry, Event
from requests_app.models import LIVE, UNFINISHED, AccessRequest, Grant

FORMAT = 1
SEQUENCES_SQL = """
    SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
    WHERE schemaname = current_schema() AND last_value IS NOT NULL
"""


@dataclass(frozen=True)
class LiveGrant:
    """Access that exists on a target, or may."""

    id: str
    request: int
    requester: str
    target: str
    login: str
    deadline: str

    def __str__(self) -> str:
        end = f"{datetime.fromisoformat(self.deadline).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        login = f", login {self.login}" if self.login else ""
        return f"AR-{self.request} {self.requester}: {self.target}{login}, until {end}"


@dataclass(frozen=True)
class Snapshot:
    """The manifest. Names of people and targets are in it, secrets are not.

    ``requests`` are the statuses of those that are not over, by id. ``position`` and ``chain_hash`` are the
    end of the audit log's chain; ``sequences`` are the last numbers given out, by sequence.
    """

    format: int
    taken_at: str
    version: str
    portal_id: str
    migrations: list[str]
    key_ids: list[str]
    position: int
    chain_hash: str
    last_event: int
    last_request: int
    sequences: dict[str, int]
    requests: dict[str, str]
    grants: list[LiveGrant]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Snapshot":
        """Return a manifest that was read, or raise `ValueError`."""
        try:
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']}, not {FORMAT}")
            grants = [LiveGrant(**grant) for grant in values["grants"]]
            known = {field.name: values[field.name] for field in fields(cls)}
            return cls(**known | {"grants": grants})
        except (KeyError, TypeError) as error:
            raise ValueError(f"its manifest is not complete ({error})") from None


def take_snapshot(using: str = DEFAULT_DB_ALIAS) -> Snapshot:
    """Read a database. Call in a transaction that sees one state of it."""
    recorder = MigrationRecorder(connections[using])
    end = ChainEntry.objects.using(using).order_by("-position").first()
    unfinished = AccessRequest.objects.using(using).filter(status__in={*UNFINISHED, *LIVE})
    return Snapshot(
        format=FORMAT,
        taken_at=timezone.now().isoformat(),
        version=apono_portal.__version__,
        portal_id=settings.PORTAL_ID,
        migrations=sorted(".".join(key) for key in recorder.applied_migrations()),
        key_ids=key_ids(),
        position=end.position if end else 0,
        chain_hash=end.chain_hash if end else "",
        last_event=Event.objects.using(using).aggregate(last=Max("pk"))["last"] or 0,
        last_request=AccessRequest.objects.using(using).aggregate(last=Max("pk"))["last"] or 0,
        sequences=read_sequences(using),
        requests={str(pk): status for pk, status in unfinished.values_list("pk", "status")},
        grants=list(_live_grants(using)),
    )


def read_sequences(using: str = DEFAULT_DB_ALIAS) -> dict[str, int]:
    """Return the last number that each sequence gave out."""
    with connections[using].cursor() as cursor:
        cursor.execute(SEQUENCES_SQL)
        return dict(cursor.fetchall())


def _live_grants(using: str) -> Iterator[LiveGrant]:
    grants = Grant.objects.using(using).live().order_by("request_id", "pk")
    rows = grants.values_list(
        *("pk", "request_id", "request__requester_label", "integration_name"),
        *("resource", "permission", "login", "deadline"),
    )
    for pk, request, requester, integration, resource, permission, login, deadline in rows:
        target = f"{integration} / {resource} · {permission}"
        yield LiveGrant(str(pk), request, requester, target, login, deadline.isoformat())
