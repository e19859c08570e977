"""Writing to the audit log."""

from collections.abc import Iterable
from typing import Any, Protocol

from django.db import IntegrityError, models, transaction

from apono_portal.core.db.prepared import insert
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.models import Event, LogVerification

SYSTEM_LABEL = "System"
STRANGER_LABEL = "Somebody not signed in"


class Referenced(Protocol):
    """An access request, as far as the log needs to know it."""

    pk: Any

    @property
    def reference(self) -> str: ...


def record(
    *,
    event: EventName,
    actor: Any | None,
    target: models.Model | None = None,
    request: Referenced | None = None,
    client_info: ClientInfo = SYSTEM,
    metadata: dict[str, Any] | None = None,
    actor_label: str = SYSTEM_LABEL,
) -> Event:
    """Write one event, in the transaction of the write it tells of.

    ``actor`` is the person who acted, None for the portal itself (or whom ``actor_label`` names);
    ``request`` is the access request it concerns. ``metadata`` is JSON with plain values and never holds a secret.
    """
    row = _row(event, actor, target, request, client_info, metadata, actor_label)
    insert(row)
    return row


def record_export(
    *, actor: Any, what: str, form: str, filters: dict[str, str], rows: str, client_info: ClientInfo
) -> Event:
    """Put on the record that somebody takes records out of the portal, and which."""
    told = {"what": what, "format": form, "filters": filters, "rows": rows}
    return record(event=EventName.AUDIT_EXPORT, actor=actor, client_info=client_info, metadata=told)


def ask_for_check(*, actor: Any, client_info: ClientInfo) -> LogVerification:
    """Have a worker verify the whole log, or return the check that is under way already."""
    told = {"address": client_info.address, "user_agent": client_info.user_agent}
    try:
        with transaction.atomic():
            check = LogVerification.objects.create(
                asked_by_id=actor.pk, asked_by_label=_label(actor), **told
            )
            record(event=EventName.AUDIT_ASK_VERIFY, actor=actor, client_info=client_info)
    except IntegrityError:
        check = LogVerification.objects.exclude(state=LogVerification.State.DONE).latest("pk")
    return check


def record_each(
    *,
    event: EventName,
    actor: Any | None,
    about: Iterable[tuple[models.Model, Referenced, dict[str, Any]]],
    client_info: ClientInfo = SYSTEM,
) -> list[Event]:
    """Write the same event about many things at once: target, request and metadata of each."""
    return Event.objects.bulk_create(
        [_row(event, actor, *each[:2], client_info, each[2], SYSTEM_LABEL) for each in about]
    )


def _row(
    event: EventName,
    actor: Any | None,
    target: models.Model | None,
    request: Referenced | None,
    client_info: ClientInfo,
    metadata: dict[str, Any] | None,
    actor_label: str,
) -> Event:
    return Event(
        event=event,
        actor_id=actor.pk if actor else None,
        actor_label=_label(actor) if actor else actor_label,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_label=_label(target) if target else "",
        request_id=request.pk if request else None,
        request_label=request.reference if request else "",
        address=client_info.address,
        user_agent=client_info.user_agent,
        metadata=metadata or {},
    )


def _label(thing: object) -> str:
    return str(thing)[:320]
